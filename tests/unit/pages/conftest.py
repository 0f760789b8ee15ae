from tests.unit.api.conftest import alice, idle_service, service

__all__ = ["alice", "idle_service", "service"]
