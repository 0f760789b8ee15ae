"""One fetch of one source, with its time limit: the only place where an unexpected exception of a source ends."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

from aggregator.model.instances import CloudUse
from aggregator.model.job_gauges import JobGauges
from aggregator.model.job_inputs import Use
from aggregator.model.lustre import LustreUse
from aggregator.model.node_inputs import Hosts, Scheduler
from aggregator.model.replication import Replication
from aggregator.model.storage import QuotaCounts
from aggregator.model.view import SourceStatus
from aggregator.refresh.memory import hand_over
from aggregator.refresh.streak import Backoff, Streak
from aggregator.sources.base import FetchError, NoSamples, Source

_log = logging.getLogger(__name__)
T_co = TypeVar("T_co", covariant=True)
# What is made of inputs that fail one by one, and of values of which some cannot be.
_OF_INPUTS = (Use, JobGauges, Scheduler, Hosts, LustreUse, CloudUse, QuotaCounts)

# Is shown what was fetched and the last good data, and raises FetchError for what cannot be true.
Believe = Callable[[Any, Any], None]


def believe_all(new: object, last: object) -> None:
    """Take whatever was fetched for true."""


@dataclass(frozen=True, slots=True)
class _Fetched(Generic[T_co]):
    data: T_co
    at: float


class Feed(Generic[T_co]):
    """One source and its last good data, which are served until they are stale.

    While it fails, a source that is asked every `interval` seconds is asked less often. `believe` is shown what was
    fetched and the last good data, and raises FetchError for what cannot be true.
    """

    def __init__(
        self,
        source: Source[T_co],
        scope: str,
        *,
        timeout: float,
        stale_after: float,
        publish: Callable[[SourceStatus], None],
        observe: Callable[[str, str, float], None],
        believe: Believe = believe_all,
        interval: float = 0.0,
    ) -> None:
        self._source = source
        self._timeout = timeout
        self._stale_after = stale_after
        self._publish = publish
        self._observe = observe
        self._believe = believe
        self._empty: tuple[str, ...] = ()
        self._good: _Fetched[T_co] | None = None
        self._status = SourceStatus(source.name, scope, up=False, error="not fetched yet")
        self._rejected: Counter[str] = Counter()
        self._learned: dict[str, bool] = {}
        self._streak = Streak(_log, "fetch", f"source={source.name} scope={scope}")
        self._backoff = Backoff(interval)
        publish(self._status)

    def take_over(self, before: "Feed[T_co]") -> None:
        """Go on from what another feed of the same source knew, until that is stale."""
        hand_over(before._source, self._source)
        self._good, self._status = before._good, before._status
        self._rejected, self._learned = before._rejected, before._learned
        self._publish(self._status)

    def learn(self, feature: str, there: bool | None) -> None:
        """Tell a feature that shows only beside other sources; None is not known."""
        learned = {name: known for name, known in self._learned.items() if name != feature}
        learned |= {} if there is None else {feature: there}
        if learned != self._learned:
            others = {name: known for name, known in self._status.features.items() if name not in self._learned}
            self._learned = learned
            self._status = replace(self._status, features={**others, **learned})
            self._publish(self._status)

    async def fetch(self, at: float) -> T_co | None:
        """Fetch, publish the outcome, and give the newest good data that are not stale at `at`."""
        if self._backoff.is_due:
            await self._fetch(at)
        return self._last(at)

    async def _fetch(self, at: float) -> None:
        started = time.perf_counter()
        error = await self._try(at)
        duration = time.perf_counter() - started
        self._observe(self._source.name, self._status.scope, duration)
        self._status = self._outcome(at, error, duration)
        self._streak.note(self._status.error)
        self._backoff.note(bool(error))
        self._publish(self._status)

    def _last(self, at: float) -> T_co | None:
        if self._good is None or at - self._good.at > self._stale_after:
            self._good = None
            return None
        return self._good.data

    async def _try(self, at: float) -> str:
        """Fetch once; give the error's text, "" for none."""
        self._empty = ()
        try:
            async with asyncio.timeout(self._timeout):
                data = await self._source.fetch(at)
            self._believe(data, self._last(at))
            self._good = _Fetched(data, at)
        except FetchError as error:
            self._empty = error.inputs if isinstance(error, NoSamples) else ()
            return str(error)
        except TimeoutError:
            return f"no answer within {self._timeout:g} s"
        except Exception as error:
            # A bug in one source must not stop the others; the log has the trace.
            if not self._streak.failures:
                _log.exception("unexpected error: source=%s scope=%s", self._source.name, self._status.scope)
            return f"unexpected {type(error).__name__}; the log has the details"
        return ""

    def _outcome(self, at: float, error: str, duration: float) -> SourceStatus:
        attempt = replace(
            self._status, up=not error, last_attempt=at, duration_seconds=duration, error=error, lag_seconds=None
        )
        if error or self._good is None:
            return replace(attempt, failed_inputs=dict.fromkeys(self._empty, error)) if self._empty else attempt
        data = self._good.data
        failed = data.failed if isinstance(data, _OF_INPUTS) else {}
        self._rejected.update(data.rejected if isinstance(data, _OF_INPUTS) else {})
        return replace(
            attempt,
            # An input that is missing is a fault of the source, though the others are served.
            up=not failed,
            error="; ".join(sorted(set(failed.values()))),
            last_success=at,
            rows=self._source.rows,
            features={**self._source.features, **self._learned},
            failed_inputs=failed,
            rejected=dict(self._rejected),
            lag_seconds=data.lag_seconds if isinstance(data, Replication) else None,
        )


class Fetches(Protocol[T_co]):
    """What may be fetched, and then gives what is known."""

    async def fetch(self, at: float) -> T_co | None:
        """Give what is known at `at`; None when nothing is."""
        ...


async def fetch_optional(feed: Fetches[T_co] | None, at: float) -> T_co | None:
    """Fetch a feed that may not be configured."""
    return await feed.fetch(at) if feed else None
