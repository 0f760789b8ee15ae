"""Sources that do as they are told."""

import asyncio
from collections.abc import Mapping
from typing import Any

from aggregator.model.view import SourceStatus
from aggregator.refresh.fetch import Feed


class FakeSource:
    """Give, raise or run the next of its outcomes at each fetch."""

    def __init__(self, *outcomes: object, name: str = "slurmacct") -> None:
        self.name = name
        self.rows = 0
        self.features: Mapping[str, bool] = {"het_job_id": True}
        self.outcomes = list(outcomes)
        self.asked: list[float] = []

    async def fetch(self, at: float) -> Any:
        self.asked.append(at)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        if callable(outcome):
            return await outcome()
        self.rows += 1
        return outcome


async def hang() -> None:
    await asyncio.Event().wait()


class Outcomes:
    """Remember what a feed publishes and observes."""

    def __init__(self) -> None:
        self.statuses: list[SourceStatus] = []
        self.observed: list[tuple[str, str, float]] = []

    @property
    def status(self) -> SourceStatus:
        return self.statuses[-1]

    def observe(self, source: str, scope: str, seconds: float) -> None:
        self.observed.append((source, scope, seconds))

    def feed(
        self, *outcomes: object, timeout: float = 60.0, stale_after: float = 300.0, interval: float = 0.0
    ) -> Feed[Any]:
        return Feed(
            FakeSource(*outcomes), "narval", timeout=timeout, stale_after=stale_after,
            publish=self.statuses.append, observe=self.observe, interval=interval,
        )  # fmt: skip
