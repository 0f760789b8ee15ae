"""slurmacct as several releases of Slurm write it: jobs of every kind, changes, and a database that goes away."""

from collections.abc import Generator, Iterator
from typing import Any
from unittest import mock

from tests import slurmacct_history as history
from tests.differential.bench import Bench, Moment
from tests.differential.pair import ROUNDS_AFTER_FAULT
from tests.lab.mariadb import MariaDB
from tests.lab.ports import LOOPBACK

_RELEASES = ("20.11", "22.05", "23.11", "24.11", "26.05")
_USER, _PASSWORD = "differential", "only for tests"
_STALE_AFTER = 60.0
_NOW = float(history.NOW)
# What happens between two looks; {} is the job table. In each release the ids of jobs are the same.
_CHANGES = (
    f"UPDATE {{}} SET state=3, time_end={history.NOW + 20}, mod_time={history.NOW + 20} WHERE id_job=1000",
    f"UPDATE {{}} SET state=1, time_start={history.NOW + 10}, nodelist='node07', tres_alloc='1=4,2=8000,4=1,5=4',"
    f" mod_time={history.NOW + 10} WHERE id_job=1001",
    "UPDATE {} SET timelimit=240 WHERE id_job=101",
    f"UPDATE {{}} SET state=2, time_suspended={history.NOW + 5} WHERE id_job=201",
    "DELETE FROM {} WHERE id_job=200",
)


def releases(bench: Bench) -> Generator[Moment, None, None]:
    """Read, change rows, start again, take MariaDB away until nothing holds any more, and give it back."""
    mariadb = bench.servers.mariadb
    for release in _RELEASES:
        with mock.patch.object(history, "CLUSTER", _cluster(release)):
            history.load_history(mariadb, _database(release), release)
    mariadb.create_user(_USER, _PASSWORD, [f"SELECT ON `{_database(release)}`.*" for release in _RELEASES])
    with bench.serve("releases", _config(bench), _NOW) as pair:
        yield Moment("start", pair)
        for release in _RELEASES:
            for change in _CHANGES:
                mariadb.execute(change.format(f"`{_cluster(release)}_job_table`"), _database(release))
        pair.clock.set(_NOW + 30.0)
        yield Moment("rows changed", pair)
        pair.restart()
        yield Moment("restart", pair)
        yield from _outage(mariadb, pair)
        for name, seconds in (("an hour later", 3600.0), ("a month later", 30 * 86_400.0)):
            pair.clock.set(pair.clock.at + seconds)
            yield Moment(name, pair)


def _outage(mariadb: MariaDB, pair: Any) -> Iterator[Moment]:
    mariadb.kill()
    for name, seconds in (("MariaDB is away", 20.0), ("MariaDB is away for too long", 2 * _STALE_AFTER)):
        pair.clock.set(pair.clock.at + seconds)
        yield Moment(name, pair, ROUNDS_AFTER_FAULT)
    pair.restart(kill=True)
    yield Moment("started without MariaDB", pair, ROUNDS_AFTER_FAULT)
    mariadb.start()
    pair.clock.set(pair.clock.at + 30.0)
    yield Moment("MariaDB is back", pair, ROUNDS_AFTER_FAULT)


def _cluster(release: str) -> str:
    return "r" + release.replace(".", "")


def _database(release: str) -> str:
    return f"differential{release.replace('.', '')}"


def _config(bench: Bench) -> dict[str, Any]:
    def section(release: str) -> dict[str, Any]:
        database = {
            "host": LOOPBACK, "port": bench.servers.mariadb.port, "user": _USER, "password": _PASSWORD,
            "database": _database(release),
        }  # fmt: skip
        return {"slurmacct": database, "prometheus": {"url": bench.servers.prometheus.url}}

    return {
        "refresh": {"stale_after": f"{_STALE_AFTER:g}s", "ended_job_retention": "30m"},
        "clusters": {_cluster(release): section(release) for release in _RELEASES},
    }
