"""GET /api/v1/clusters and /api/v1/clusters/{cluster}."""

from dataclasses import asdict
from typing import Annotated, TypedDict

from aiohttp import web

from aggregator.api.answer import Epoch, Time, row
from aggregator.api.cluster_lists import ACCOUNTS_PATH
from aggregator.api.envelope import success
from aggregator.api.freshness import source_warnings, sources_of
from aggregator.api.identity import ANONYMOUS, identity_of
from aggregator.api.keys import CLOCK, SETTINGS, STORE
from aggregator.api.lists import LISTS
from aggregator.api.lookup import find_cluster, missing_accounting
from aggregator.api.representation import FreshnessShown, Json, freshness_json, times
from aggregator.api.totals import total_json, unknown_json
from aggregator.engine.frame import Frames
from aggregator.model.energy import Prices
from aggregator.model.view import ClusterView, Snapshot


class SlurmctldStateShown(TypedDict):
    """What slurmctld counts in a state."""

    state: str
    cpus: float | None
    gpus: float | None
    nodes: float | None
    jobs: float | None


class SlurmctldShown(TypedDict):
    """What slurmctld counts."""

    cpus: float | None
    gpus: float | None
    states: list[SlurmctldStateShown]


class ClusterShown(TypedDict):
    """One cluster, beside the sums of its accounts."""

    cluster: str
    as_of_time: Time
    as_of_timestamp_seconds: Epoch
    slurmctld: SlurmctldShown | None
    jobs_watts: float | None
    idle_watts: float | None
    unattributed_watts: float | None
    jobs_joules: float | None
    idle_joules: float | None
    unattributed_joules: float | None
    window_end_time: Time
    window_end_timestamp_seconds: Epoch
    prices: Prices | None
    sources: list[FreshnessShown]


class ClustersShown(TypedDict):
    """Every cluster."""

    clusters: list[Annotated[Json, row("cluster_accounts", "ClusterShown")]]


async def list_clusters(request: web.Request) -> web.Response:
    """Answer with the totals and the freshness of every cluster."""
    snapshot = request.app[STORE].current
    clusters = [_cluster_json(request, snapshot, view) for _, view in sorted(snapshot.clusters.items())]
    warnings = [warning for name in sorted(snapshot.clusters) for warning in _warnings(request, snapshot, name)]
    return success(request, {"clusters": clusters}, warnings)


async def get_cluster(request: web.Request) -> web.Response:
    """Answer with the totals and the freshness of one cluster."""
    return success(request, *read_cluster(request, request.match_info["cluster"]))


def read_cluster(request: web.Request, name: str) -> tuple[Json, list[str]]:
    """Read what is answered of one cluster, and what is missing.

    Raises ApiError.
    """
    snapshot = request.app[STORE].current
    view = find_cluster(snapshot, name)
    return _cluster_json(request, snapshot, view), _warnings(request, snapshot, view.cluster)


def _warnings(request: web.Request, snapshot: Snapshot, cluster: str) -> list[str]:
    """Say what is missing, to those who are known: errors may name hosts."""
    return [] if identity_of(request) is ANONYMOUS else list(source_warnings(snapshot, cluster))


def _cluster_json(request: web.Request, snapshot: Snapshot, view: ClusterView) -> Json:
    """Show one cluster; without accounting its totals are unknown, which is not zero."""
    now, stale_after = request.app[CLOCK](), request.app[SETTINGS].stale_after
    statuses, accounts = sources_of(snapshot, view.cluster), request.app[LISTS][ACCOUNTS_PATH]
    hidden = {"error": None} if identity_of(request) is ANONYMOUS else {}
    known = missing_accounting(request, snapshot, view.cluster) is None
    return {
        "cluster": view.cluster,
        **times("as_of", view.time),
        **(total_json(accounts, view) if known else unknown_json(accounts)),
        "slurmctld": _slurmctld_json(view.frames),
        **_energy_json(view),
        "sources": [{**freshness_json(status, now, stale_after), **hidden} for status in statuses],
    }


def _slurmctld_json(frames: Frames) -> Json | None:
    """Show what slurmctld counts of the whole cluster by state, and in all; null without an exporter that says it."""
    (row,) = frames["slurmctld"].drop("repairs").to_dicts() or (None,)
    return row and {**row, "states": frames["slurmctld_states"].to_dicts()}


def _energy_json(view: ClusterView) -> Json:
    """Show the power and energy of a cluster's measured nodes by component, and the factors that are used."""
    energy = view.frames["cluster_energy"].drop("window_end_seconds")
    row = next(energy.iter_rows(named=True), dict.fromkeys(energy.columns))
    return {**row, **times("window_end", view.ledger_end), "prices": view.prices and asdict(view.prices)}
