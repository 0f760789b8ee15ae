"""Which nodes' exporters can show GPUs: a fact that lasts, whoever has jobs just now.

Prometheus itself remembers it: it is asked when the service starts and once in a while, and what the fetches show is
added in between. So it is the same after a restart, and it is forgotten with the target that it was learned from, or
after the exporter has been down for a while: what comes back may have been installed anew.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from aggregator.sources.base import FetchError
from aggregator.sources.prometheus.client import PrometheusClient

ASK_SECONDS: Final = 3600.0
RETRY_SECONDS: Final = 300.0
# After a failure the input is down: asked again soon, then less and less often.
FIRST_PAUSE_SECONDS: Final = 5.0
MAX_PAUSE_SECONDS: Final = 60.0
# As in slurm_job_exporter.py: GPU_NODES.
DOWN_SECONDS: Final = 300.0


class GpuNodes:
    """Keep the nodes that have shown a GPU."""

    def __init__(self, client: PrometheusClient, query: str, node_of: Callable[[Mapping[str, str]], str]) -> None:
        self.failed = ""
        self.asked_at: float | None = None
        self.query = query
        self._client = client
        self._node_of = node_of
        self._next = float("-inf")
        self._pause = FIRST_PAUSE_SECONDS
        self._known: frozenset[str] = frozenset()
        self._down: dict[str, float] = {}

    async def ask(self, at: float) -> None:
        """Ask what was shown until `at`, when it is time to; what is known stays where there is no answer."""
        if at < self._next:
            return
        try:
            answer = await self._client.query(self.query, at)
        except FetchError as error:
            self.failed, self._next = str(error), at + self._pause
            self._pause = min(2 * self._pause, MAX_PAUSE_SECONDS)
            return
        self._pause, self.asked_at = FIRST_PAUSE_SECONDS, at
        self._known = frozenset(self._node_of(sample.metric) for sample in answer)
        # Nothing at all may be because Prometheus has only just begun, or come back.
        self.failed, self._next = "", at + (ASK_SECONDS if self._known else RETRY_SECONDS)

    def update(self, at: float, shown: Iterable[str], healthy: frozenset[str] | None) -> frozenset[str]:
        """Add the nodes that show GPUs at `at`, and give all that are known to be able to."""
        self._known |= frozenset(shown)
        if healthy:
            # Where no node is healthy it is Prometheus that was away.
            self._down = {node: self._down.get(node, at) for node in self._known - healthy}
            self._known -= {node for node, since in self._down.items() if at - since >= DOWN_SECONDS}
        return self._known
