"""From our spool to the service: until it says that it has stored a script, the script stays."""

import asyncio
import logging
import time
from collections.abc import Sequence

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from jobscript_ingest.metrics import AgentMetrics
from jobscript_ingest.script import Key, Script
from jobscript_ingest.service import Outcome, Refused, SendError, Service
from jobscript_ingest.settings import BackOff, BatchLimits
from jobscript_ingest.spool import Spool, SpoolError

_log = logging.getLogger(__name__)
# A pause that the service asks for is believed up to this.
_LONGEST_ASKED_SECONDS = 3600.0


class Sender:
    """Send what is in the spool, batch after batch."""

    def __init__(
        self,
        spool: Spool,
        service: Service,
        metrics: AgentMetrics,
        batch: BatchLimits | None = None,
        back_off: BackOff | None = None,
    ) -> None:
        self._spool = spool
        self._service = service
        self._metrics = metrics
        self._batch = batch or BatchLimits()
        self._back_off = back_off or BackOff()
        self._woken = asyncio.Event()
        self._problem = ""

    def wake(self) -> None:
        """Say that there is something to send."""
        self._woken.set()

    async def run(self) -> None:
        """Send for ever, with pauses that grow while the service does not take anything."""
        while True:
            self._woken.clear()
            attempts = AsyncRetrying(
                retry=retry_if_exception_type((SendError, SpoolError)), wait=self._pause, before_sleep=self._say
            )
            was_sent: bool = await attempts(self.send_batch)
            if not was_sent:
                await self._woken.wait()

    async def send_batch(self) -> bool:
        """Send one batch; False when there is none.

        Raises SendError and SpoolError.
        """
        batch = await asyncio.to_thread(self._spool.batch, self._batch)
        if batch:
            await self._send(batch)
        return bool(batch)

    async def _send(self, batch: Sequence[Script]) -> None:
        """Send a batch; one that is refused is sent in halves, until the script that is at fault is alone."""
        try:
            outcome = await self._service.post(batch)
        except Refused as error:
            if len(batch) == 1:
                await self._set_aside({batch[0].key: str(error)}, f"http_{error.status}")
            else:
                middle = len(batch) // 2
                await self._send(batch[:middle])
                await self._send(batch[middle:])
            return
        await self._settle(batch, outcome)

    async def _settle(self, batch: Sequence[Script], outcome: Outcome) -> None:
        keys = {script.key for script in batch}
        stored = keys & outcome.stored
        rejected = {key: outcome.rejected[key] for key in keys - stored if key in outcome.rejected}
        await asyncio.to_thread(self._spool.remove, stored)
        self._metrics.sent.inc(len(stored))
        if rejected:
            await self._set_aside(rejected, "rejected")
        forgotten = keys - stored - rejected.keys()
        if forgotten:
            await asyncio.to_thread(self._spool.postpone, forgotten)
            raise SendError(f"--aggregator.url: the service said nothing of {len(forgotten)} scripts of a batch")
        self._metrics.last_success = time.time()
        if self._problem:
            _log.info("scripts are sent again")
        self._problem = ""

    async def _set_aside(self, refusals: dict[Key, str], reason: str) -> None:
        await asyncio.to_thread(self._spool.refuse, refusals)
        self._metrics.refused.labels(reason).inc(len(refusals))
        for (job_id, _), error in sorted(refusals.items()):
            _log.warning("script refused by the service, set aside: job_id=%d error=%s", job_id, error[:500])

    def _pause(self, state: RetryCallState) -> float:
        """Give the seconds to wait: full jitter, and not less than the service asks for."""
        back_off = self._back_off
        pause = wait_random_exponential(multiplier=back_off.shortest, min=back_off.shortest, max=back_off.longest)(
            state
        )
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, SendError) else None
        return max(pause, min(asked or 0.0, _LONGEST_ASKED_SECONDS))

    def _say(self, state: RetryCallState) -> None:
        """Count a failure, and log it once until another kind of failure or success comes."""
        self._metrics.send_failures.inc()
        error = str(state.outcome.exception()) if state.outcome else ""
        if error != self._problem:
            _log.warning("scripts not sent, will be tried again: error=%s", error)
        self._problem = error
