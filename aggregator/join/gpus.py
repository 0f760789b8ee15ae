"""How does a run use its GPUs in a window of the ledger?"""

from dataclasses import dataclass

from aggregator.model.accounting import Run
from aggregator.model.use import Gpu, Use

# Below this share of expected samples nothing is called idle.
COVERAGE_FLOOR = 0.8


@dataclass(frozen=True, slots=True)
class GpuUse:
    """How a run uses its GPUs; None where nothing is known.

    utilization is the mean ratio over the `judged` GPUs: those with a plausible sample, and those without a series on
    a node whose exporter is up, which count 0. coverage is judged ÷ allocated.
    """

    coverage: float
    busy: int | None = None
    judged: float = 0.0
    utilization: float | None = None

    @property
    def used(self) -> float | None:
        """Give the sum of the utilisations: GPUs used."""
        return None if self.utilization is None else self.utilization * self.judged


def gpu_use(run: Run, use: Use) -> GpuUse | None:
    """Compare the GPUs that have series with those that the run holds.

    An allocated GPU without a series counts as idle only where the node's exporter is up and has shown GPUs; how many
    GPUs the run has on which node is not in slurmacct, so they are taken as spread evenly.
    """
    allocated = run.allocated.gpu_count
    if not allocated or use.gpus is None:
        return None
    own = [gpu for gpu in use.gpus.get(run.job_id, ()) if not run.nodes or gpu.node in run.nodes]
    visible = _visible_share(run, use, own)
    if visible == 0.0 and not own:
        return GpuUse(coverage=0.0)
    known = [gpu.utilization for gpu in own if gpu.utilization is not None]
    shown = len(known) + max(0.0, allocated * visible - len(own))
    # A leftover series may show a GPU that the run does not hold (any more): no more are judged than it holds.
    judged = min(shown, allocated)
    return GpuUse(
        coverage=judged / allocated,
        busy=sum(1 for utilization in known if utilization > 0) if judged else None,
        judged=judged,
        utilization=sum(known) / shown if shown else None,
    )


def _visible_share(run: Run, use: Use, own: list[Gpu]) -> float:
    """Give the share of the run's nodes whose exporter can be trusted to show its GPUs."""
    if use.healthy_nodes is None or not run.nodes:
        return 0.0
    seen = {gpu.node for gpu in own}
    return sum(1 for node in run.nodes if use.vouches_for_gpus(node) or node in seen) / len(run.nodes)
