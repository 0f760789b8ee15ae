"""The application: every URL of the service, and what each request passes on its way."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from aiohttp import web

from aggregator.api.access import check_access, identify
from aggregator.api.applications import list_applications
from aggregator.api.basic_auth import basic_auth
from aggregator.api.bounds import ClientLimits, Refuse, deadline
from aggregator.api.cloud import (
    get_cloud_series,
    get_instance,
    get_instance_series,
    get_project,
    get_project_series,
    list_clouds,
)
from aggregator.api.clusters import get_cluster, list_clusters
from aggregator.api.errors import answer_errors
from aggregator.api.explain import get_explanation
from aggregator.api.filesystem_series import get_filesystem_series
from aggregator.api.groups import (
    get_group,
    get_group_series,
    get_space_series,
)
from aggregator.api.headers import add_security_headers
from aggregator.api.health import get_healthy, get_ready, post_reload
from aggregator.api.instrument import Observe, instrument
from aggregator.api.jobs import get_job, list_ended_jobs
from aggregator.api.jobscripts import post_scripts, put_script
from aggregator.api.keys import (
    AROUND,
    CLOCK,
    HISTORY,
    JOBS,
    PAGE,
    REPLICAS,
    SCRIPT_KEEPER,
    SCRIPTS,
    SERIES,
    SETTINGS,
    STORE,
    USAGE,
    ApiSettings,
    Clock,
    MetricsPage,
    ReplicaNotes,
    ScriptKeeper,
)
from aggregator.api.landing import get_landing
from aggregator.api.limits import list_qos
from aggregator.api.lists import LISTS, ListRoute, handler_of
from aggregator.api.metrics import get_metrics
from aggregator.api.nodes import (
    get_node,
    get_node_events,
    get_node_jobs,
    get_node_series,
    list_nodes,
    list_partitions,
    list_reservations,
)
from aggregator.api.origin import check_origin
from aggregator.api.provenance import STORED
from aggregator.api.script import get_script
from aggregator.api.series import get_account_series, get_cluster_series, get_job_series, get_user_series
from aggregator.api.status import get_status
from aggregator.api.storage import get_filesystem, list_filesystems
from aggregator.api.summaries import get_account_summary, get_user_summary
from aggregator.api.sums import get_account, get_user
from aggregator.api.unchanged import GIVEN, GivenAnswers
from aggregator.api.usage import get_account_usage, get_cluster_usage, get_user_usage
from aggregator.api.whoami import get_whoami
from aggregator.queries.around import AroundQueries
from aggregator.queries.history import HistoryQueries
from aggregator.queries.jobs import JobQueries
from aggregator.queries.scripts import ScriptQueries
from aggregator.queries.series import SeriesQueries
from aggregator.queries.usage import UsageQueries
from aggregator.refresh.store import SnapshotStore


def create_app(
    store: SnapshotStore,
    jobs: JobQueries,
    history: HistoryQueries,
    around: AroundQueries,
    scripts: ScriptQueries,
    keeper: ScriptKeeper,
    settings: ApiSettings,
    page: MetricsPage,
    clock: Clock = time.time,
    observe: Observe = lambda *_: None,
    users: Mapping[str, str] | None = None,
    *,
    refuse: Refuse = lambda _: None,
    api_at_once: Callable[[], int] | None = None,
    usage: UsageQueries,
    series: SeriesQueries,
    replicas: Mapping[str, ReplicaNotes] = MappingProxyType({}),
    lists: Sequence[ListRoute[Any]] = (),
) -> web.Application:
    """Build the application; its handlers read these and nothing else.

    users maps names to bcrypt hashes, and may change; None when nobody will ever need a password.
    refuse counts by reason what is refused; api_at_once says how many API requests may be under way. lists have paths
    of their own.
    """
    limits = ClientLimits(refuse, api_at_once or (lambda: settings.bounds.connections // 2))
    guards = [] if users is None else [basic_auth(users)]
    middlewares = [
        instrument(observe), answer_errors, deadline(refuse), identify, *guards, check_origin(refuse), limits.apply,
        check_access,
    ]  # fmt: skip
    app = web.Application(middlewares=middlewares)
    app[STORE], app[JOBS], app[SETTINGS], app[PAGE], app[CLOCK] = store, jobs, settings, page, clock
    app[HISTORY], app[AROUND], app[REPLICAS] = history, around, replicas
    app[SCRIPTS], app[SCRIPT_KEEPER], app[USAGE] = scripts, keeper, usage
    app[SERIES], app[LISTS] = series, lists
    app[GIVEN] = GivenAnswers()
    app[STORED] = lambda cluster: settings.stored_names.get(cluster, {})
    app.on_response_prepare.append(add_security_headers)
    setup_routes(app)
    add_lists(app, lists)
    return app


# Every URL of the service.
_ROUTES: Final = (
    web.get("/", get_landing),
    web.get("/-/healthy", get_healthy),
    web.get("/-/ready", get_ready),
    web.post("/-/reload", post_reload),
    web.get("/metrics", get_metrics),
    web.get("/api/v1/status", get_status),
    web.get("/api/v1/whoami", get_whoami),
    web.get("/api/v1/clusters", list_clusters),
    web.get("/api/v1/clusters/{cluster}", get_cluster),
    web.get("/api/v1/clusters/{cluster}/applications", list_applications),
    web.get("/api/v1/clusters/{cluster}/jobs/history", list_ended_jobs),
    web.get("/api/v1/clusters/{cluster}/jobs/{job_id}", get_job),
    web.get("/api/v1/clusters/{cluster}/jobs/{job_id}/explain", get_explanation),
    web.get("/api/v1/clusters/{cluster}/jobs/{job_id}/script", get_script),
    web.get("/api/v1/clusters/{cluster}/jobs/{job_id}/series", get_job_series),
    web.post("/api/v1/clusters/{cluster}/jobscripts", post_scripts),
    web.put("/api/v1/clusters/{cluster}/jobscripts/{job_id}", put_script),
    web.get("/api/v1/clusters/{cluster}/usage", get_cluster_usage),
    web.get("/api/v1/clusters/{cluster}/users/{user}/usage", get_user_usage),
    web.get("/api/v1/clusters/{cluster}/accounts/{account}/usage", get_account_usage),
    web.get("/api/v1/clusters/{cluster}/users/{user}", get_user),
    web.get("/api/v1/clusters/{cluster}/users/{user}/series", get_user_series),
    web.get("/api/v1/clusters/{cluster}/users/{user}/jobs/summary", get_user_summary),
    web.get("/api/v1/clusters/{cluster}/accounts/{account}", get_account),
    web.get("/api/v1/clusters/{cluster}/accounts/{account}/series", get_account_series),
    web.get("/api/v1/clusters/{cluster}/accounts/{account}/jobs/summary", get_account_summary),
    web.get("/api/v1/clusters/{cluster}/qos", list_qos),
    web.get("/api/v1/clusters/{cluster}/series", get_cluster_series),
    web.get("/api/v1/clusters/{cluster}/nodes", list_nodes),
    web.get("/api/v1/clusters/{cluster}/nodes/{node}", get_node),
    web.get("/api/v1/clusters/{cluster}/nodes/{node}/jobs", get_node_jobs),
    web.get("/api/v1/clusters/{cluster}/nodes/{node}/events", get_node_events),
    web.get("/api/v1/clusters/{cluster}/nodes/{node}/series", get_node_series),
    web.get("/api/v1/clusters/{cluster}/partitions", list_partitions),
    web.get("/api/v1/clusters/{cluster}/reservations", list_reservations),
    web.get("/api/v1/storage", list_filesystems),
    web.get("/api/v1/storage/{filesystem}", get_filesystem),
    web.get("/api/v1/storage/{filesystem}/series", get_filesystem_series),
    web.get("/api/v1/storage/{filesystem}/groups/{group}", get_group),
    web.get("/api/v1/storage/{filesystem}/groups/{group}/series", get_group_series),
    web.get("/api/v1/storage/{filesystem}/users/{user}/series", get_space_series),
    web.get("/api/v1/cloud/series", get_cloud_series),
    web.get("/api/v1/cloud", list_clouds),
    web.get("/api/v1/cloud/projects/{project}", get_project),
    web.get("/api/v1/cloud/projects/{project}/series", get_project_series),
    web.get("/api/v1/cloud/projects/{project}/instances/{uuid}", get_instance),
    web.get("/api/v1/cloud/projects/{project}/instances/{uuid}/series", get_instance_series),
)


def add_lists(app: web.Application, lists: Iterable[ListRoute[Any]]) -> None:
    """Add the path of every list."""
    app.add_routes([web.get(each.path, handler_of(each)) for each in lists])


def setup_routes(app: web.Application) -> None:
    """Add every URL of the service."""
    app.add_routes(_ROUTES)
