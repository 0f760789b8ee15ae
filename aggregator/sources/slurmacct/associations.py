"""Associations, QOS and coordinators: small tables that are read whole, every few minutes.

mod_time says nothing of them: an upgrade to 23.11 wrote times of its own into it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from aggregator.executors import REFRESH, run
from aggregator.model.association import Association, Associations, Limits, Qos
from aggregator.model.nodename import NodeRule
from aggregator.model.tres import MEBIBYTE, parse_tres
from aggregator.sources.mysql import Database, Row, SchemaError, text
from aggregator.sources.slurmacct import statements
from aggregator.sources.slurmacct.events import parse_registered, registered_nodes
from aggregator.sources.slurmacct.rows import Dimensions, parse_dimensions
from aggregator.sources.slurmacct.schema import Schema

# Column → the limit in sacctmgr's words.
ASSOCIATION_LIMITS: Final = {
    "grp_jobs": "GrpJobs", "grp_jobs_accrue": "GrpJobsAccrue", "grp_submit_jobs": "GrpSubmitJobs",
    "grp_tres": "GrpTRES", "grp_tres_mins": "GrpTRESMins", "grp_tres_run_mins": "GrpTRESRunMins", "grp_wall": "GrpWall",
    "max_jobs": "MaxJobs", "max_jobs_accrue": "MaxJobsAccrue", "max_submit_jobs": "MaxSubmitJobs",
    "max_tres_pj": "MaxTRES", "max_tres_pn": "MaxTRESPerNode", "max_tres_mins_pj": "MaxTRESMins",
    "max_wall_pj": "MaxWall",
}  # fmt: skip
QOS_LIMITS: Final = {
    "grp_jobs": "GrpJobs", "grp_jobs_accrue": "GrpJobsAccrue", "grp_submit_jobs": "GrpSubmitJobs",
    "grp_tres": "GrpTRES", "grp_tres_mins": "GrpTRESMins", "grp_tres_run_mins": "GrpTRESRunMins", "grp_wall": "GrpWall",
    "max_jobs_pa": "MaxJobsPerAccount", "max_jobs_per_user": "MaxJobsPerUser",
    "max_jobs_accrue_pa": "MaxJobsAccruePerAccount", "max_jobs_accrue_pu": "MaxJobsAccruePerUser",
    "max_submit_jobs_pa": "MaxSubmitJobsPerAccount", "max_submit_jobs_per_user": "MaxSubmitJobsPerUser",
    "max_tres_pa": "MaxTRESPerAccount", "max_tres_pj": "MaxTRES", "max_tres_pn": "MaxTRESPerNode",
    "max_tres_pu": "MaxTRESPerUser", "max_tres_mins_pj": "MaxTRESMins",
    "max_tres_run_mins_pa": "MaxTRESRunMinsPerAccount", "max_tres_run_mins_pu": "MaxTRESRunMinsPerUser",
    "min_tres_pj": "MinTRES", "max_wall_duration_per_job": "MaxWall",
}  # fmt: skip
PARENT_SHARES: Final = 0x7FFFFFFF
_UNSET: Final = 4294967294  # NO_VAL; INFINITE is the next
_USERS_ARE_COORDINATORS: Final = 1 << 16
_QOS_CHANGE = re.compile(r"([+-]?)(\d{1,10})", re.ASCII)
COORDINATORS: Final = "SELECT CAST(acct AS BINARY), CAST(`user` AS BINARY) FROM acct_coord_table WHERE deleted+0=0"


def associations(schema: Schema) -> str:
    """Select the whole association table with shares, QOS and limits, deleted rows too."""
    flags = "flags" if schema.has("assoc", "flags") else "0"
    names = ", ".join(f"CAST(`{column}` AS BINARY)" for column in ("user", "acct", "partition", "parent_acct"))
    changes = "CAST(qos AS BINARY), CAST(delta_qos AS BINARY)"
    return (
        f"SELECT id_assoc, {names}, deleted, shares, {changes}, {flags}, {_limits(schema, 'assoc', ASSOCIATION_LIMITS)}"  # noqa: S608
        f" FROM {schema.table('assoc')}"
    )


def qos(schema: Schema) -> str:
    """Select every QOS with its limits, deleted ones too: ended runs still refer to them."""
    limits = _limits(schema, "qos", QOS_LIMITS)
    columns = "id, CAST(name AS BINARY), deleted, priority, usage_factor"
    return f"SELECT {columns}, {limits} FROM qos_table"  # noqa: S608


def _limits(schema: Schema, table: str, columns: Mapping[str, str]) -> str:
    return ", ".join(_limit(column) if schema.has(table, column) else "NULL" for column in columns)


def _limit(column: str) -> str:
    return f"CAST(`{column}` AS BINARY)" if "tres" in column else f"`{column}`"


@dataclass(frozen=True, slots=True)
class SmallTables:
    """What one reading of the small tables gives: what runs refer to, the associations, TRES by id, and the nodes.

    spelled has each node as slurmdbd spells it, which may be with capitals and a domain.
    """

    dimensions: Dimensions = field(default_factory=Dimensions)
    associations: Associations = field(default_factory=Associations.of)
    tres: Mapping[int, str] = field(default_factory=dict)
    nodes: tuple[str, ...] = ()
    spelled: Mapping[str, str] = field(default_factory=dict)


class SmallTablesReader:
    """Read one cluster's small tables, each once; what this schema or the GRANT does not offer is left out."""

    def __init__(self, database: Database, names: NodeRule) -> None:
        self._database = database
        self._names = names

    async def read(self, schema: Schema) -> SmallTables:
        """Read the tables.

        Raises FetchError.
        """
        tres = await self._database.rows(statements.TRES) if schema.has("tres", "id") else [*statements.STATIC_TRES]
        found = await self._database.rows(associations(schema))
        qualities = await self._database.rows(qos(schema)) if schema.has("qos", "id") else []
        accounts = await self._database.rows(statements.ACCOUNTS) if schema.has("acct", "name") else []
        coordinators = await self._coordinators(schema)
        nodes = await self._nodes(schema)
        return await run(REFRESH, self._parse, tres, found, qualities, accounts, coordinators, nodes)

    def _parse(
        self,
        tres: list[Row],
        found: list[Row],
        qualities: list[Row],
        accounts: list[Row],
        coordinators: list[Row],
        nodes: tuple[str, ...],
    ) -> SmallTables:
        catalog = parse_catalog(tres)
        known = tuple(parse_association(row, catalog) for row in found)
        names = {int(row[0]): text(row[1]) for row in qualities}
        limited = {int(row[0]): parse_qos(row, catalog) for row in qualities if not row[2]}
        organizations = {text(name): text(organization) for name, organization in accounts}
        tree = Associations.of(known, limited, parse_coordinators(coordinators), organizations)
        spelled = {self._names.normalize(node): node for node in nodes}
        return SmallTables(parse_dimensions(known, tres, names), tree, catalog, tuple(spelled), spelled)

    async def _nodes(self, schema: Schema) -> tuple[str, ...]:
        """Read the cluster's nodes as slurmctld registered them; none where the table is missing or not granted."""
        if not schema.has("event", "cluster_nodes"):
            return ()
        try:
            return parse_registered(await self._database.rows(registered_nodes(schema)))
        except SchemaError:
            return ()

    async def _coordinators(self, schema: Schema) -> list[Row]:
        """Read who is named coordinator; nobody where the table is missing or not granted."""
        if not schema.has("acct_coord", "acct"):
            return []
        try:
            return await self._database.rows(COORDINATORS)
        except SchemaError:
            return []


def parse_catalog(rows: Iterable[Row]) -> dict[int, str]:
    """Name each TRES as sacctmgr does: `cpu`, `mem`, `gres/gpu:a100`."""
    return {int(tres_id): "/".join(filter(None, (text(kind), text(name)))) for tres_id, kind, name in rows}


def parse_association(row: Row, catalog: Mapping[int, str]) -> Association:
    """Parse one row of the association table, in the order of the statement."""
    id_assoc, user, account, partition, parent, deleted, shares, own_qos, changes, flags, *limits = row
    changed = _qos_changes(text(changes))
    return Association(
        id=int(id_assoc),
        account=text(account),
        user=text(user),
        partition=text(partition),
        parent="" if user else text(parent),
        deleted=bool(deleted),
        shares=None if shares >= PARENT_SHARES else max(0, int(shares)),
        limits=_parse_limits(ASSOCIATION_LIMITS, limits, catalog),
        qos=_qos_changes(text(own_qos))[""],
        added_qos=changed["+"],
        removed_qos=changed["-"],
        users_are_coordinators=bool(int(flags or 0) & _USERS_ARE_COORDINATORS),
    )


def parse_qos(row: Row, catalog: Mapping[int, str]) -> Qos:
    """Parse one row of the QOS table, in the order of the statement."""
    _, name, _, priority, factor, *limits = row
    known = priority is not None and priority < _UNSET
    parsed = _parse_limits(QOS_LIMITS, limits, catalog)
    # A negative one is not set, and is not applied.
    return Qos(text(name), parsed, int(priority) if known else 0, factor if factor >= 0 else 1.0)


def parse_coordinators(rows: Iterable[Row]) -> list[tuple[str, str]]:
    """Give account and user of each coordinator."""
    return [(text(account), text(user)) for account, user in rows]


def _qos_changes(column: str) -> dict[str, frozenset[int]]:
    """Read `,1,2` or `,+3,-1`: ids by sign."""
    found: dict[str, set[int]] = {"": set(), "+": set(), "-": set()}
    for entry in column.split(","):
        if match := _QOS_CHANGE.fullmatch(entry):
            found[match[1]].add(int(match[2]))
    return {sign: frozenset(ids) for sign, ids in found.items()}


def _parse_limits(columns: Mapping[str, str], row: Iterable[object], catalog: Mapping[int, str]) -> Limits:
    """Read limits in base units; one that is NULL, a sentinel or of a TRES that has no name is not set."""
    found: dict[tuple[str, str], float] = {}
    for limit, value in zip(columns.values(), row, strict=True):
        seconds = 60.0 if limit.endswith(("Wall", "Mins")) or "RunMins" in limit else 1.0
        if isinstance(value, int) and 0 <= value < _UNSET:
            found[limit, ""] = value * seconds
        elif isinstance(value, bytes | str):
            for tres_id, count in parse_tres(text(value)).items():
                if tres_id in catalog:
                    size = MEBIBYTE if catalog[tres_id] == "mem" else 1
                    found[limit, catalog[tres_id]] = count * size * seconds
    return found
