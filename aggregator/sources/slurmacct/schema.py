"""What this slurmdbd's schema offers, read from information_schema: releases differ in columns, versions lie."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aggregator.sources.base import FetchError
from aggregator.sources.mysql import Database, text

_TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema=DATABASE()"
_COLUMNS = (
    "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema=DATABASE()"
    " AND table_name IN ({})"
)
_CLUSTERS = "SELECT CAST(name AS BINARY) FROM cluster_table WHERE deleted=0"

# fmt: off
REQUIRED = {
    "job": frozenset({
        "job_db_inx", "id_job", "id_assoc", "id_user", "account", "partition", "job_name", "state", "time_submit",
        "time_eligible", "time_start", "time_end", "time_suspended", "timelimit", "tres_alloc", "tres_req", "nodelist",
        "id_qos", "deleted",
    }),
    "assoc": frozenset({"id_assoc", "user", "acct", "parent_acct", "deleted"}),
}
# fmt: on
# Tables that are read for single jobs only: optional → a column without which it is of no use.
AROUND = {"step": "id_step", "event": "node_name", "resv": "resv_name"}


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns of one cluster's tables and of the global ones, by logical table name."""

    cluster: str
    columns: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def table(self, suffix: str) -> str:
        """Quote a per-cluster table; the cluster's name was validated by the configuration."""
        return f"`{self.cluster}_{suffix}_table`"

    def has(self, table: str, column: str) -> bool:
        """Tell whether a column is there."""
        return column in self.columns.get(table, frozenset())

    def around(self) -> dict[str, bool]:
        """Tell what there is to be read around a single job: a table that is not granted is one that is not there."""
        tables = {f"{table}_table": self.has(table, column) for table, column in AROUND.items()}
        return {**tables, "submit_line": self.has("job", "submit_line")}


async def discover(database: Database, cluster: str, key: str) -> Schema:
    """Read which columns this cluster's tables have.

    Raises FetchError that says which clusters the database has, or that it is not slurmacct at all.
    """
    tables = {text(row[0]) for row in await database.rows(_TABLES)}
    names = {
        f"{cluster}_job_table": "job",
        f"{cluster}_assoc_table": "assoc",
        f"{cluster}_job_script_table": "job_script",
        **{f"{cluster}_{table}_table": table for table in AROUND},
        "tres_table": "tres",
        "qos_table": "qos",
        "acct_table": "acct",
    }
    if "cluster_table" not in tables or "tres_table" not in tables:
        raise FetchError(f"{key}.database: not a slurmdbd database (no cluster_table and tres_table in it)")
    if f"{cluster}_job_table" not in tables:
        known = sorted(text(row[0]) for row in await database.rows(_CLUSTERS))
        raise FetchError(f"{key}: the database has no cluster {cluster!r}; it has: {', '.join(known) or 'none'}")
    columns: dict[str, set[str]] = {logical: set() for logical in names.values()}
    for table, column in await database.rows(_COLUMNS.format(", ".join(["%s"] * len(names))), tuple(names)):
        columns[names[text(table)]].add(text(column).lower())
    for logical, required in REQUIRED.items():
        if missing := required - columns[logical]:
            raise FetchError(f"{key}: {cluster}_{logical}_table lacks the columns {', '.join(sorted(missing))}")
    return Schema(cluster, {logical: frozenset(found) for logical, found in columns.items()})
