"""What this slurmdbd's schema offers, read from information_schema: releases differ in columns, versions lie."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aggregator.sources.base import FetchError
from aggregator.sources.mysql import Reads, text

_TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema=DATABASE()"
_COLUMNS = (
    "SELECT table_name, column_name FROM information_schema.columns"
    " WHERE table_schema=DATABASE() AND table_name IN ({})"
)
_CLUSTERS = "SELECT CAST(name AS BINARY) FROM cluster_table WHERE deleted=0"

# fmt: off
# The tables that may be read, without the cluster and `_table`. job_env, which holds secrets, is not one of them.
_OF_A_CLUSTER = (
    "job", "assoc", "job_script", "step", "event", "resv", "suspend", "last_ran",
    "usage_hour", "usage_day", "usage_month", "assoc_usage_hour", "assoc_usage_day", "assoc_usage_month",
    "qos_usage_hour", "qos_usage_day", "qos_usage_month",
)
_OF_ALL = ("tres", "qos", "acct", "acct_coord", "cluster")
REQUIRED = {
    "job": frozenset({
        "job_db_inx", "id_job", "id_assoc", "id_user", "account", "partition", "job_name", "state", "time_submit",
        "time_eligible", "time_start", "time_end", "time_suspended", "timelimit", "tres_alloc", "tres_req", "nodelist",
        "id_qos", "deleted",
    }),
    "assoc": frozenset({"id_assoc", "user", "acct", "parent_acct", "deleted"}),
}
# fmt: on


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns of one cluster's tables and of the global ones, by logical table name."""

    cluster: str
    columns: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def table(self, suffix: str) -> str:
        """Quote a per-cluster table; the cluster's name was validated by the configuration."""
        return f"`{self.cluster}_{suffix}_table`"

    def full_name(self, table: str) -> str:
        """Write the name that a table has in the database."""
        return f"{table}_table" if table in _OF_ALL else f"{self.cluster}_{table}_table"

    def has(self, table: str, column: str) -> bool:
        """Tell whether a column is there."""
        return column in self.columns.get(table, frozenset())


async def discover(database: Reads, cluster: str, key: str) -> Schema:
    """Read which columns this cluster's tables have.

    Raises FetchError that says which clusters the database has, or that it is not slurmacct at all.
    """
    tables = {text(row[0]) for row in await database.rows(_TABLES)}
    if "cluster_table" not in tables or "tres_table" not in tables:
        raise FetchError(f"{key}.database: not a slurmdbd database (no cluster_table and tres_table in it)")
    if f"{cluster}_job_table" not in tables:
        known = sorted(text(row[0]) for row in await database.rows(_CLUSTERS))
        if cluster in known:
            raise FetchError(f"{key}: {cluster}_job_table is not granted, or not there for now: check the GRANT")
        raise FetchError(f"{key}: the database has no cluster {cluster!r}; it has: {', '.join(known) or 'none'}")
    columns = await _columns(database, cluster)
    for logical, required in REQUIRED.items():
        if missing := required - columns[logical]:
            raise FetchError(f"{key}: {cluster}_{logical}_table lacks the columns {', '.join(sorted(missing))}")
    return Schema(cluster, {logical: frozenset(found) for logical, found in columns.items()})


async def _columns(database: Reads, cluster: str) -> dict[str, set[str]]:
    """Read the columns of each table that is there and may be read."""
    names = {Schema(cluster).full_name(table): table for table in (*_OF_A_CLUSTER, *_OF_ALL)}
    columns: dict[str, set[str]] = {logical: set() for logical in names.values()}
    sql = _COLUMNS.format(", ".join(["%s"] * len(names)))
    for table, column in await database.rows(sql, tuple(names)):
        # The server compares these names whatever their case: another cluster's tables may be among them.
        if (logical := names.get(text(table))) is not None:
            columns[logical].add(text(column).lower())
    return columns
