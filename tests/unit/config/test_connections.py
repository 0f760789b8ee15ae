"""How many connections a service needs, as docs/grants.md reckons it."""

from aggregator.config import parse
from aggregator.config.demand import connections

CLUSTERS = """
clusters:
  a: { slurmacct: { host: db1, user: u, tls: {} }, prometheus: { url: 'http://p' } }
  b:
    slurmacct: { host: db1, user: u, pool_size: 2, tls: {}, replica: { host: db2 } }
    prometheus: { url: 'http://p' }
  c: { slurmacct: { host: db1, user: other, tls: {} }, prometheus: { url: 'http://p' } }
filesystems:
  p: { robinhood: { host: db1, user: u, database: d, tls: {} } }
"""


def test_the_connections_of_a_user_of_a_server_are_added_up() -> None:
    assert connections(parse(CLUSTERS)) == {
        ("db1", 3306, "u"): (4 + 1) + (2 + 1) + 4,
        ("db1", 3306, "other"): 4 + 1,
        ("db2", 3306, "u"): 2,
    }
