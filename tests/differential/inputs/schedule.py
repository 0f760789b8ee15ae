"""Faults of Prometheus that begin and end by the services' clock: a refresh fails as a whole or not at all."""

from math import inf

from tests.scenarios.proxy import Fault, Proxy


class Schedule:
    """The fault of a proxy by the time for which it is asked; what has no such time meets the newest one."""

    def __init__(self, proxy: Proxy) -> None:
        self._steps: list[tuple[float, Fault | None]] = [(-inf, None)]
        proxy.fault = self

    def set(self, at: float, fault: Fault | None) -> None:
        """Let it be so from epoch time *at* on; None is no fault."""
        self._steps.append((at, fault))

    def __call__(self, path: str, parameters: dict[str, str]) -> tuple[int, bytes] | None:
        at = float(parameters.get("time", "inf"))
        fault = next(fault for begin, fault in reversed(self._steps) if begin <= at)
        return fault(path, parameters) if fault else None
