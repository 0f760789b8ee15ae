"""The lists of a cluster: what each shows, of which frame, and which rows an identity may see."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import polars as pl
from aiohttp import web

from aggregator.api.alerts import read_alerts
from aggregator.api.areas import READ, STAFF
from aggregator.api.freshness import source_warnings
from aggregator.api.keys import STORE
from aggregator.api.lists import ListRoute, OfView
from aggregator.api.lookup import find_seen_cluster
from aggregator.api.owner_rows import Owner, key_of, owner_rows, table_of
from aggregator.api.part_sources import check_read
from aggregator.api.selection import in_partitions, means, on_nodes
from aggregator.api.visibility import Rights, with_children
from aggregator.engine.column import Table
from aggregator.engine.listed import Condition, Derived, Filters, Listed, Nested
from aggregator.engine.part import Layout, Part
from aggregator.engine.query import QueryError
from aggregator.model.accounting import JobState
from aggregator.model.jobid import JobId, JobIdError, parse_job_id
from aggregator.model.view import ClusterView
from aggregator.model.waste import SEVERITIES
from aggregator.parts.alerts.columns import ALERTS
from aggregator.parts.jobs.columns import FACTS, JOBS
from aggregator.parts.waste.rules import Compiled

# Columns of `jobs` that other columns are made of, or that are labels of families only.
_STEPS_OF_JOBS: Final = frozenset({
    "job_name_label", "is_owner", "association_id", "gpu_types", "suspended_since", "granted_licenses",
    "ledger_gpu_used_seconds", "has_gpu_time", "gpu_partly_idle_seconds", "gpu_unseen_seconds",
    "gpu_partly_unseen_seconds", "shown_node_watts", "shown_gpu_watts", "lustre_is_own",
})  # fmt: skip
_RATES: Final = ("read_bytes_per_second", "write_bytes_per_second", "metadata_operations_per_second")
LISTS_PATH: Final = "/api/v1/clusters/{cluster}/"
JOBS_PATH: Final = f"{LISTS_PATH}jobs"
USERS_PATH: Final = f"{LISTS_PATH}users"
ACCOUNTS_PATH: Final = f"{LISTS_PATH}accounts"
_STATES: Final = frozenset(state.name.lower() for state in JobState)


def _display_id() -> pl.Expr:
    """Write ids as sacct does: `123`, `123_4`, `123_[…]`, `123+1`."""
    task = pl.col("array_task_id").cast(pl.String).fill_null("[…]")
    component = pl.format("{}+{}", "het_job_id", "het_offset")
    is_component = pl.col("het_job_id").is_not_null() & pl.col("het_offset").is_not_null()
    return (
        pl.when(pl.col("array_job_id").is_not_null()).then(pl.format("{}_{}", "array_job_id", task))
        .when(is_component).then(component).otherwise(pl.col("job_id").cast(pl.String))
    )  # fmt: skip


_IDS: Final = (Derived(name="id", value=_display_id(), help="The id as sacct writes it: 123, 123_4 or 123+1."),)
# Each is a condition of its own, and a read where they are looked for in slurmacct.
MAX_IDS: Final = 20


def cluster_lists(layout: Layout, others: Sequence[Part] = ()) -> tuple[ListRoute[ClusterView], ...]:
    """Give the lists of a cluster's tables, those of other packages' parts too."""
    return (
        _jobs(layout), _owners(layout, "user"), _owners(layout, "account"), _alerts(),
        *(part_list(part.name, layout.tables[table.name]) for part in others for table in part.tables),
    )  # fmt: skip


def _jobs(layout: Layout) -> ListRoute[ClusterView]:
    return _route(listed_jobs(layout), lambda view: view.frames["jobs"], lambda rights: rights.seen)


def listed_jobs(layout: Layout) -> Listed:
    """Give what is shown of runs: what the parts of a layout say of them."""
    return Listed(
        name="jobs", table=layout.tables["jobs"], order=("-job_id", "-run_id"), hidden=_STEPS_OF_JOBS, derived=_IDS,
        nested=_of_jobs(layout),
        conditions={
            "id": _ids, "node": _nodes, "partition": _partitions, "account": in_accounts, "with_children": _nothing,
        },
        choices={
            "state": lambda _: _STATES, "severity": lambda _: SEVERITIES, "reason": _reasons,
            "with_children": lambda _: _YES_NO,
        },
    )  # fmt: skip


# What slurmacct says of runs, of whose use nothing is asked.
RUNS_OF_NODES: Final = Listed(
    name="jobs", table=replace(JOBS, columns=FACTS), order=("-job_id", "-run_id"), hidden=_STEPS_OF_JOBS, derived=_IDS
)


def _of_jobs(layout: Layout) -> tuple[Nested, ...]:
    return tuple(
        Nested(name=name, table=layout.tables[table], on=("run_id",), columns=columns, help=text)
        for name, table, columns, text in (
            ("gpus", "job_gpus", ("gpu_type", "count"), "GPUs that it holds, by type."),
            ("waste", "waste", ("reason", "severity", "value"), "What the rules of waste have found."),
            ("lustre", "job_lustre", ("filesystem", *_RATES), "Its rates by file system."),
            ("costs", "job_costs", ("component", "currency", "amount"), "Costs by component."),
        )
        if table in layout.tables
    )


def _owners(layout: Layout, of: Owner) -> ListRoute[ClusterView]:
    tables, key = layout.tables, key_of(of)
    nested = tuple(
        Nested(name=name, table=tables[f"{of}_{table}"], on=key, columns=columns, help=text)
        for name, table, columns, text in (
            ("jobs", "states", ("state", "count"), "Jobs by state."),
            ("gpus", "gpus", ("gpu_type", "count"), "GPUs that the jobs hold, by type."),
            ("waste", "findings", ("reason", "severity", "count"), "Jobs by finding."),
            ("costs", "costs", ("component", "currency", "amount", "wasted_amount"), "Costs by component."),
            ("lustre", "lustre", ("filesystem", *_RATES), "Rates by file system."),
        )
    )
    conditions: dict[str, Condition] = {"account": in_accounts, "with_children": _nothing}
    listed = Listed(
        name=f"{of}s", table=table_of(layout, of), order=key, nested=nested, conditions=conditions,
        choices={"with_children": lambda _: _YES_NO},
    )  # fmt: skip
    return _route(
        listed, OfView(partial(owner_rows, of=of)),
        (lambda rights: rights.seen) if of == "user" else (lambda rights: rights.seen_accounts),
    )  # fmt: skip


def _alerts() -> ListRoute[ClusterView]:
    listed = Listed(
        name="alerts", table=ALERTS,
        order=("-last_notified_timestamp_seconds", "-fingerprint", "-start_timestamp_seconds"),
        conditions={"account": in_accounts, "with_children": _nothing},
        choices={"with_children": lambda _: _YES_NO},
    )  # fmt: skip
    route = _route(listed, lambda view: view.frames["alerts"], lambda rights: rights.seen)
    return replace(route, read=read_alerts, warn=lambda *_: ())


def part_list(part: str, table: Table) -> ListRoute[ClusterView]:
    """Give the list of a table of another package's part, for the staff."""
    # Without labels, all that a row has tells it from the others.
    order = tuple(table.labels.values()) or tuple(name for name, dtype in table.schema.items() if not dtype.is_nested())

    def find(request: web.Request) -> tuple[ClusterView, Rights]:
        view, rights = find_seen_cluster(request)
        check_read(request, view, part)
        return view, rights

    return _route(
        Listed(name=table.name, table=table, order=order),
        OfView[ClusterView](lambda view: view.frames[table.name].sort(order, nulls_last=True)),
        lambda rights: pl.lit(rights.everything), find, STAFF,
    )  # fmt: skip


def _route(
    listed: Listed,
    frame: Callable[[ClusterView], pl.DataFrame],
    sees: Callable[[Rights], pl.Expr],
    find: Callable[[web.Request], tuple[ClusterView, Rights]] = find_seen_cluster,
    area: str = READ,
) -> ListRoute[ClusterView]:
    return ListRoute(
        path=f"{LISTS_PATH}{listed.name}", listed=listed, find=find, frame=frame, sees=lambda rights, _: sees(rights),
        area=area,
        warn=lambda request, view: source_warnings(request.app[STORE].current, view.cluster),
    )  # fmt: skip


_YES_NO: Final = frozenset({"true", "false"})


def in_accounts(view: ClusterView, filters: Filters) -> pl.Expr:
    """Tell which rows are of the accounts that are asked for."""
    return pl.col("account").is_in(sorted(accounts_asked(view, filters)))


def accounts_asked(view: ClusterView, filters: Filters) -> frozenset[str]:
    """Give the accounts that are asked for, none for all; with_children=true adds those below."""
    wanted = frozenset(filters.get("account", ()))
    return with_children(wanted, view) if "true" in filters.get("with_children", ()) else wanted


def _nothing(view: ClusterView, filters: Filters) -> pl.Expr:
    return pl.lit(True)


def _reasons(view: ClusterView) -> frozenset[str]:
    rules = view.context.get(Compiled)
    return rules.names if rules else frozenset()


def _ids(view: ClusterView, filters: Filters) -> pl.Expr:
    """Tell which runs somebody means who writes these ids."""
    return pl.any_horizontal(map(means, ids_asked(filters)))


def ids_asked(filters: Filters) -> Sequence[JobId]:
    """Give the job ids that are asked for, none for all.

    Raises QueryError.
    """
    texts = sorted(frozenset(filters.get("id", ())))
    if len(texts) > MAX_IDS:
        raise QueryError(f"id: must be at most {MAX_IDS} values, got {len(texts)}")
    try:
        return [parse_job_id(text) for text in texts]
    except JobIdError as error:
        raise QueryError(str(error)) from error


def _nodes(view: ClusterView, filters: Filters) -> pl.Expr:
    return on_nodes(view.names.each(filters["node"]))


def _partitions(view: ClusterView, filters: Filters) -> pl.Expr:
    return in_partitions(filters["partition"])
