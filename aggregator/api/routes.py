"""Every route that is no list: who may enter it, its parameters, and what it answers."""

from dataclasses import replace
from typing import Any, Final

from aggregator.api.advice import AdviceShown, get_advice
from aggregator.api.alerts import CountedShown, post_alerts
from aggregator.api.applications import ApplicationsShown, list_applications
from aggregator.api.areas import ALERTS, CLUSTERS, HEALTH, INGEST, METRICS, READ, STAFF, WHOAMI
from aggregator.api.cloud import (
    CloudShown,
    CloudsShown,
    get_cloud_series,
    get_instance,
    get_instance_series,
    get_project,
    get_project_series,
    list_clouds,
)
from aggregator.api.cluster_lists import ACCOUNTS_PATH, LISTS_PATH
from aggregator.api.clusters import ClusterShown, ClustersShown, get_cluster, list_clusters
from aggregator.api.explain import get_explanation
from aggregator.api.explain_representation import ExplanationShown
from aggregator.api.filesystem_series import get_filesystem_series
from aggregator.api.groups import SpaceShown, get_group, get_group_series, get_space, get_space_series
from aggregator.api.health import get_healthy, get_ready, post_reload
from aggregator.api.history import LISTED, HistoryShown, list_ended_jobs
from aggregator.api.jobs import JobShown, RunShown, get_job
from aggregator.api.jobscript_batch import BatchPosted
from aggregator.api.jobscripts import DeliveredShown, WrittenShown, post_scripts, put_script
from aggregator.api.metrics import get_metrics
from aggregator.api.node_lists import NODES_PATH
from aggregator.api.node_representation import NodeRunShown
from aggregator.api.nodes import (
    NodeEventsShown,
    NodeJobsShown,
    NodeShown,
    get_node,
    get_node_events,
    get_node_jobs,
    get_node_series,
)
from aggregator.api.owners import AccountShown, StandingShown, UserShown, get_account, get_user
from aggregator.api.reference import get_openapi, get_reference
from aggregator.api.route import Handler, Parameter, Route
from aggregator.api.script import ScriptShown, get_script
from aggregator.api.series import get_account_series, get_cluster_series, get_job_series, get_user_series
from aggregator.api.series_representation import GraphsShown, MatrixShown
from aggregator.api.status import StatusShown, get_status
from aggregator.api.storage import FilesystemsShown, get_filesystem, list_filesystems
from aggregator.api.storage_lists import GROUPS_PATH
from aggregator.api.storage_representation import FilesystemShown, OfFilesystemShown
from aggregator.api.usage import (
    AccountUsageShown,
    UsageShown,
    UserUsageShown,
    get_account_usage,
    get_cluster_usage,
    get_user_usage,
)
from aggregator.api.webhook import WebhookPosted
from aggregator.api.whoami import WhoamiShown, get_whoami
from aggregator.model.calendar import RESOLUTIONS

_CLUSTER: Final = LISTS_PATH.removesuffix("/")
_JOB: Final = f"{_CLUSTER}/jobs/{{job_id}}"
_USER: Final = f"{_CLUSTER}/users/{{user}}"
_ACCOUNT: Final = f"{_CLUSTER}/accounts/{{account}}"
_NODE: Final = f"{NODES_PATH}/{{node}}"
_FILESYSTEM: Final = "/api/v1/storage/{filesystem}"
_CLOUD: Final = "/api/v1/cloud"
_START: Final = Parameter(name="start", help="Begin of the time: epoch seconds, RFC 3339 or now-7d.", kind="time")
_END: Final = Parameter(name="end", help="End of the time; now by default.", kind="time")
_PAGE: Final = (
    Parameter(name="limit", help="Rows of a page.", kind="count"),
    Parameter(name="cursor", help="The next_cursor of the page before."),
)  # fmt: skip
_OF_GRAPHS: Final = (
    Parameter(name="metric", help="The graph; without it the answer says which there are."), _START, _END,
    Parameter(name="step", help="Seconds between two points; chosen by the time asked for by default.",
              kind="duration"),
)  # fmt: skip
_WHICH_CLOUD: Final = Parameter(name="cloud", help="Which clouds, all by default.", repeatable=True)
_OF_USAGE: Final = (
    Parameter(name="tres", help="Which TRES; those of jobs by default.", repeatable=True), _START, _END,
    Parameter(name="resolution", help="Length of a period; chosen by the time by default.",
              choices=tuple(RESOLUTIONS)),
)  # fmt: skip
_QOS: Final = Parameter(name="qos", help="Usage under these QOS, from Slurm 24.11 on.", repeatable=True)
_ACCOUNTS: Final = Parameter(name="account", help="Under these accounts, all by default.", repeatable=True)

# Types of what stands beside the fields of a list's row, in rows within an answer.
BESIDE_ROWS: Final = (RunShown, NodeRunShown, StandingShown, CloudShown)


def _get(path: str, handler: Handler, area: str = READ, *parameters: Parameter, **answer: Any) -> Route:
    return Route(path=path, handler=handler, area=area, parameters=parameters, **answer)


def _series(path: str, handler: Handler, *more: Parameter, area: str = READ) -> Route:
    return _get(f"{path}/series", handler, area, *_OF_GRAPHS, *more, answer=(MatrixShown, GraphsShown))


ROUTES: Final = (
    _get("/-/healthy", get_healthy, HEALTH),
    _get("/-/ready", get_ready, HEALTH),
    Route(method="POST", path="/-/reload", handler=post_reload, area=STAFF),
    _get("/openapi.json", get_openapi, HEALTH, media="application/json"),
    _get("/docs", get_reference, HEALTH, media="text/html"),
    _get("/metrics", get_metrics, METRICS,
         Parameter(name="collect[]", help="Groups of families, all by default.", repeatable=True)),
    Route(method="POST", path="/api/v1/alerts", handler=post_alerts, area=ALERTS, body=WebhookPosted,
          answer=(CountedShown,)),
    _get("/api/v1/status", get_status, STAFF, answer=(StatusShown,)),
    _get("/api/v1/whoami", get_whoami, WHOAMI, answer=(WhoamiShown,)),
    _get("/api/v1/clusters", list_clusters, CLUSTERS, answer=(ClustersShown,)),
    _get(_CLUSTER, get_cluster, CLUSTERS, answer=(ClusterShown,), row=ACCOUNTS_PATH),
    _get(f"{_CLUSTER}/applications", list_applications, READ,
         Parameter(name="of", help="What is shared out.", choices=("cpus", "gpus")), _START, _END,
         answer=(ApplicationsShown,)),
    _get(f"{_CLUSTER}/jobs/history", list_ended_jobs, READ, replace(_START, required=True), _END,
         Parameter(name="time", help="Which event of a run falls in the time; its end by default.",
                   choices=("ended", "started", "submitted")),
         listed=LISTED, answer=(HistoryShown,)),
    _get(_JOB, get_job, answer=(JobShown,)),
    _get(f"{_JOB}/advice", get_advice, answer=(AdviceShown,)),
    _get(f"{_JOB}/explain", get_explanation, answer=(ExplanationShown,)),
    _get(f"{_JOB}/script", get_script, READ,
         Parameter(name="submitted", help="When the run that is meant was submitted; the newest by default.",
                   kind="time"),
         answer=(ScriptShown,)),
    _series(_JOB, get_job_series),
    Route(method="POST", path=f"{_CLUSTER}/jobscripts", handler=post_scripts, area=INGEST, body=BatchPosted,
          answer=(DeliveredShown,)),
    Route(method="PUT", path=f"{_CLUSTER}/jobscripts/{{job_id}}", handler=put_script, area=INGEST,
          body=bytes, answer=(WrittenShown,),
          parameters=(Parameter(name="written_at", help="When it was written; now by default.", kind="time"),)),
    _get(f"{_CLUSTER}/usage", get_cluster_usage, READ, *_OF_USAGE, answer=(UsageShown,)),
    _series(_CLUSTER, get_cluster_series),
    _get(_USER, get_user, answer=(UserShown,)),
    _get(f"{_USER}/usage", get_user_usage, READ, *_OF_USAGE, _QOS, _ACCOUNTS, answer=(UserUsageShown,)),
    _series(_USER, get_user_series),
    _get(_ACCOUNT, get_account, answer=(AccountShown,), row=ACCOUNTS_PATH),
    _get(f"{_ACCOUNT}/usage", get_account_usage, READ, *_OF_USAGE, _QOS, answer=(AccountUsageShown,)),
    _series(_ACCOUNT, get_account_series),
    _get(_NODE, get_node, answer=(NodeShown,), row=NODES_PATH),
    _get(f"{_NODE}/jobs", get_node_jobs, READ, _START, _END, *_PAGE, answer=(NodeJobsShown,)),
    _get(f"{_NODE}/events", get_node_events, READ, _START, _END, answer=(NodeEventsShown,)),
    _series(_NODE, get_node_series),
    _get("/api/v1/storage", list_filesystems, answer=(FilesystemsShown,)),
    _get(_FILESYSTEM, get_filesystem, answer=(FilesystemShown,)),
    _series(_FILESYSTEM, get_filesystem_series,
            Parameter(name="cluster", help="Whose Prometheus has the servers, where there are several.")),
    _get(f"{_FILESYSTEM}/groups/{{group}}", get_group, answer=(OfFilesystemShown,), row=GROUPS_PATH),
    _series(f"{_FILESYSTEM}/groups/{{group}}", get_group_series),
    _get(f"{_FILESYSTEM}/users/{{user}}", get_space, answer=(SpaceShown,)),
    _series(f"{_FILESYSTEM}/users/{{user}}", get_space_series),
    _get(_CLOUD, list_clouds, READ, _WHICH_CLOUD, answer=(CloudsShown,)),
    _series(_CLOUD, get_cloud_series, _WHICH_CLOUD, area=STAFF),
    _get(f"{_CLOUD}/projects/{{project}}", get_project, READ, _WHICH_CLOUD, row=f"{_CLOUD}/projects"),
    _series(f"{_CLOUD}/projects/{{project}}", get_project_series, _WHICH_CLOUD),
    _get(f"{_CLOUD}/instances/{{uuid}}", get_instance, READ, _WHICH_CLOUD, row=f"{_CLOUD}/instances"),
    _series(f"{_CLOUD}/instances/{{uuid}}", get_instance_series, _WHICH_CLOUD,
            Parameter(name="project", help="Whose it was, of an instance that has gone.")),
)  # fmt: skip
