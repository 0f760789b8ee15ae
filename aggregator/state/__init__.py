"""The service's own tables: what Prometheus and slurmacct do not keep."""

from aggregator.state.errors import StateError
from aggregator.state.store import StateStore

__all__ = ["StateError", "StateStore"]
