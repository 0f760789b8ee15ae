"""What every route belongs to, and with that who may enter it: a route that is not listed here fails a test."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

HEALTH: Final = "health"
METRICS: Final = "metrics"
CLUSTERS: Final = "clusters"
# The parts of the API, each of which asks something else of an identity; without one they are open together.
WHOAMI: Final = "whoami"
READ: Final = "read"
STAFF: Final = "staff"
INGEST: Final = "ingest"
API: Final = "api"
# What can be open to those without an identity.
AREAS: Final = frozenset({HEALTH, METRICS, CLUSTERS, API})

_CLUSTER: Final = "/api/v1/clusters/{cluster}"
_STORAGE: Final = "/api/v1/storage"
_CLOUD: Final = "/api/v1/cloud"
_PROJECT: Final = f"{_CLOUD}/projects/{{project}}"
AREA_OF_ROUTE: Final[Mapping[str, str]] = MappingProxyType({
    "/": HEALTH,
    "/-/healthy": HEALTH,
    "/-/ready": HEALTH,
    "/-/reload": STAFF,
    "/metrics": METRICS,
    "/api/v1/status": STAFF,
    "/api/v1/whoami": WHOAMI,
    "/api/v1/clusters": CLUSTERS,
    _CLUSTER: CLUSTERS,
    f"{_CLUSTER}/applications": READ,
    f"{_CLUSTER}/jobs": READ,
    f"{_CLUSTER}/jobs/history": READ,
    f"{_CLUSTER}/jobs/{{job_id}}": READ,
    f"{_CLUSTER}/jobs/{{job_id}}/explain": READ,
    f"{_CLUSTER}/jobs/{{job_id}}/script": READ,
    f"{_CLUSTER}/jobs/{{job_id}}/series": READ,
    f"{_CLUSTER}/jobscripts": INGEST,
    f"{_CLUSTER}/jobscripts/{{job_id}}": INGEST,
    f"{_CLUSTER}/usage": READ,
    f"{_CLUSTER}/users": READ,
    f"{_CLUSTER}/users/{{user}}": READ,
    f"{_CLUSTER}/users/{{user}}/usage": READ,
    f"{_CLUSTER}/users/{{user}}/series": READ,
    f"{_CLUSTER}/users/{{user}}/jobs/summary": READ,
    f"{_CLUSTER}/accounts": READ,
    f"{_CLUSTER}/accounts/{{account}}": READ,
    f"{_CLUSTER}/accounts/{{account}}/usage": READ,
    f"{_CLUSTER}/accounts/{{account}}/series": READ,
    f"{_CLUSTER}/accounts/{{account}}/jobs/summary": READ,
    f"{_CLUSTER}/qos": READ,
    f"{_CLUSTER}/series": READ,
    f"{_CLUSTER}/nodes": READ,
    f"{_CLUSTER}/nodes/{{node}}": READ,
    f"{_CLUSTER}/nodes/{{node}}/jobs": READ,
    f"{_CLUSTER}/nodes/{{node}}/events": READ,
    f"{_CLUSTER}/nodes/{{node}}/series": READ,
    f"{_CLUSTER}/partitions": READ,
    f"{_CLUSTER}/reservations": READ,
    _STORAGE: READ,
    f"{_STORAGE}/{{filesystem}}": READ,
    f"{_STORAGE}/{{filesystem}}/series": READ,
    f"{_STORAGE}/{{filesystem}}/groups/{{group}}": READ,
    f"{_STORAGE}/{{filesystem}}/groups/{{group}}/series": READ,
    f"{_STORAGE}/{{filesystem}}/groups": READ,
    f"{_STORAGE}/{{filesystem}}/users": READ,
    f"{_STORAGE}/{{filesystem}}/users/{{user}}/series": READ,
    f"{_CLOUD}/series": STAFF,
    f"{_CLOUD}/projects": READ,
    _PROJECT: READ,
    f"{_PROJECT}/series": READ,
    f"{_CLOUD}/instances": READ,
    _CLOUD: READ,
    f"{_PROJECT}/instances/{{uuid}}": READ,
    f"{_PROJECT}/instances/{{uuid}}/series": READ,
})  # fmt: skip
