"""The areas to which routes belong, and with that who may enter them."""

from typing import Final

# Where those without an identity are let in: the pages' own files, and the form for signing in.
DOOR: Final = "door"
HEALTH: Final = "health"
METRICS: Final = "metrics"
CLUSTERS: Final = "clusters"
# The parts of the API, each of which asks something else of an identity; without one they are open together.
WHOAMI: Final = "whoami"
READ: Final = "read"
STAFF: Final = "staff"
INGEST: Final = "ingest"
ALERTS: Final = "alerts"
API: Final = "api"
# What can be open to those without an identity.
AREAS: Final = frozenset({HEALTH, METRICS, CLUSTERS, API})
