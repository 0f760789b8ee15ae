"""What could be observed of a cluster's jobs, and the words for what could not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aggregator.model.job_inputs import Use

_NAMED_NODES = 3
# One run: its values by column.
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Observation:
    """What the last fetch from Prometheus could read of a cluster; reachable is False where there was none.

    failed has the inputs that could not be read; has_gpus tells whether GPUs are known, of this fetch or an older one.
    healthy_nodes have an exporter that is up, gpu_nodes one that has shown GPUs, lately or now; None where that is not
    known.
    """

    reachable: bool = True
    failed: frozenset[str] = frozenset()
    has_gpus: bool = True
    healthy_nodes: frozenset[str] | None = None
    gpu_nodes: frozenset[str] | None = None

    @property
    def is_blind(self) -> bool:
        """Tell whether no exporter can show any GPU (no NVML, no DCGM, another vendor): each would look idle."""
        return self.reachable and self.has_gpus and self.gpu_nodes is not None and not self.gpu_nodes

    def why_unseen(self, run: Row, input_name: str) -> str:
        """Say why a run lacks samples of an input."""
        if not self.reachable:
            return "Prometheus could not be read"
        if input_name in self.failed:
            return f"the input {input_name} could not be read"
        nodes: Sequence[str] = run["nodes"] or ()
        down = [] if self.healthy_nodes is None else [node for node in nodes if node not in self.healthy_nodes]
        if down:
            return _of_nodes(down, "is down", "are down")
        blind = [node for node in nodes if not self._vouches_for_gpus(node)]
        if input_name == "gpu_utilization" and blind and self.gpu_nodes is not None:
            return _of_nodes(blind, "has not shown any GPU lately", "have not shown any GPU lately")
        return f"not all of its nodes have samples of {input_name}"

    def _vouches_for_gpus(self, node: str) -> bool:
        return node in (self.healthy_nodes or ()) and node in (self.gpu_nodes or ())


def observation(use: Use | None) -> Observation:
    """Say what a fetch could read; None where there was none."""
    if use is None:
        return Observation(reachable=False)
    return Observation(
        failed=frozenset(use.failed),
        has_gpus=use.gpus is not None,
        healthy_nodes=use.healthy_nodes,
        gpu_nodes=use.gpu_nodes,
    )


def _of_nodes(nodes: Sequence[str], one: str, several: str) -> str:
    """Say something of the exporters of some nodes, of which the first few are named."""
    if len(nodes) == 1:
        return f"the exporter of {nodes[0]} {one}"
    more = f" and {len(nodes) - _NAMED_NODES} more" if len(nodes) > _NAMED_NODES else ""
    return f"the exporters of {', '.join(nodes[:_NAMED_NODES])}{more} {several}"
