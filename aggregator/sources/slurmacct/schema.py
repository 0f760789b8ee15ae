"""What this slurmdbd's schema offers, read from information_schema: releases differ in columns, versions lie."""

from collections.abc import Collection, Mapping
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
# What is not known without each of the tables that a first GRANT forgets.
LEFT_OUT = {
    "tres": "GPUs, licenses, and limits of TRES other than Slurm's own are not known",
    "qos": "names and limits of QOS are not known",
    "acct": "organizations of accounts are not known",
}
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

    def missing(self) -> tuple[str, ...]:
        """Say of each table without which less is known what that is, and which GRANT it takes."""
        tables = ((self.full_name(table), what) for table, what in LEFT_OUT.items() if not self.columns.get(table))
        return tuple(f"{name} is not there, or not granted (GRANT SELECT ON {name}): {what}" for name, what in tables)

    def has(self, table: str, column: str) -> bool:
        """Tell whether a column is there."""
        return column in self.columns.get(table, frozenset())


async def discover(database: Reads, cluster: str, key: str) -> Schema:
    """Read which columns this cluster's tables have.

    Raises FetchError that says which clusters the database has, or that it is not slurmacct at all.
    """
    tables = {text(row[0]) for row in await database.rows(_TABLES)}
    if f"{cluster}_job_table" not in tables:
        raise FetchError(await _without_jobs(database, cluster, key, tables))
    if f"{cluster}_assoc_table" not in tables:
        raise FetchError(f"{key}: {cluster}_assoc_table is not granted, or not there for now: check the GRANT")
    columns = await _columns(database, cluster)
    for logical, required in REQUIRED.items():
        if missing := required - columns[logical]:
            raise FetchError(f"{key}: {cluster}_{logical}_table lacks the columns {', '.join(sorted(missing))}")
    return Schema(cluster, {logical: frozenset(found) for logical, found in columns.items()})


async def _without_jobs(database: Reads, cluster: str, key: str, tables: Collection[str]) -> str:
    """Say why the cluster's jobs are not to be seen: another database, another cluster, or no GRANT."""
    if "cluster_table" in tables:
        known = {text(row[0]) for row in await database.rows(_CLUSTERS)}
    elif not (known := {table.removesuffix("_job_table") for table in tables if table.endswith("_job_table")}):
        return f"{key}.database: not a slurmdbd database, or nothing of it is granted (no {cluster}_job_table in it)"
    if cluster in known:
        return f"{key}: {cluster}_job_table is not granted, or not there for now: check the GRANT"
    return f"{key}: the database has no cluster {cluster!r}; it has: {', '.join(sorted(known)) or 'none'}"


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
