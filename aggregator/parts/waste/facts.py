"""The fields that rules compare: each as expressions over the columns of `jobs`, with words for what is missing.

Names, units and meanings are those of `model/waste.py`. A field of the same name as a column may be another quantity:
`gpu_utilization_ratio` is the mean since the start here, and that of now in `jobs`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from aggregator.parts.jobs.declare import coverage_of
from aggregator.parts.jobs.efficiency import FairShare
from aggregator.parts.waste.observation import Observation, Row

# Whether no exporter of the cluster can show any GPU: a column that is added to `jobs` where facts are computed.
BLIND: Final = "blind"

_NO_MEMORY = "Slurm does not manage memory where it runs"
_GPUS: Final = pl.col("granted_gpus").cast(pl.Float64)
_GPU_COVERAGE: Final = pl.col("gpu_coverage_ratio")
# Otherwise idle GPUs would look busy, or the other way round.
_TELLS_OF_GPUS: Final = (pl.col("suspended_seconds") == 0) & ~pl.col(BLIND)
Words = Callable[[Row, Observation], str]


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """The observed share (0–1) of what a field rests on, and what to say where it is too little."""

    ratio: pl.Expr
    missing: Callable[[float, Row, Observation], str]


@dataclass(frozen=True, slots=True, eq=False)
class Fact:
    """One field: its value, null where it is not known, and the shares on which it rests; none for one that is whole.

    missing says why the value is not known, "" where nothing more can be said.
    """

    value: pl.Expr
    missing: Words = lambda _run, _observation: ""
    shares: tuple[Observed, ...] = ()

    def columns(self, field: str) -> Iterator[pl.Expr]:
        """Give the columns `value_` and `share_` of the field."""
        yield self.value.alias(f"value_{field}")
        for number, share in enumerate(self.shares):
            yield share.ratio.alias(f"share_{field}_{number}")

    def coverage(self, field: str) -> pl.Expr:
        """Give the column `coverage_`, the least share; null where any is null, which `min_horizontal` would skip."""
        shares = [pl.col(f"share_{field}_{number}") for number in range(len(self.shares))]
        least = pl.lit(1.0)
        if shares:
            all_known = pl.all_horizontal(share.is_not_null() for share in shares)
            least = pl.when(all_known).then(pl.min_horizontal(shares))
        return least.alias(f"coverage_{field}")


def facts(fair_share: FairShare) -> Mapping[str, Fact]:
    """Give every field by the name that rules know it by (model/waste.py: FIELDS)."""
    cpus, memory = (pl.col(name).cast(pl.Float64) for name in ("granted_cpus", "granted_memory_bytes"))
    cpu_ratio, ledger_gpu_seconds = pl.col("cpu_efficiency_ratio"), pl.col("ledger_gpu_seconds")
    return {
        "elapsed_seconds": Fact(pl.col("elapsed_seconds")),
        "nodes": Fact(pl.col("granted_nodes").cast(pl.Float64)),
        "cpus_allocated": Fact(cpus),
        "cpus_used_mean": Fact(cpu_ratio * cpus, _no_cpu_seconds),
        "cpu_used_ratio": Fact(cpu_ratio, _no_cpu_seconds),
        "cpu_wasted_seconds": Fact(pl.col("wasted_cpu_seconds"), _no_cpu_seconds),
        "cpus_above_gpu_share": Fact((cpus - fair_share.cpus()).clip(lower_bound=0.0)),
        "memory_allocated_bytes": Fact(memory, _no_memory),
        "memory_peak_ratio": Fact(pl.col("memory_efficiency_ratio"), _no_peak),
        "memory_above_fair_share_bytes": Fact((memory - fair_share.memory()).clip(lower_bound=0.0), _no_memory),
        "memory_wasted_bytes": Fact(pl.col("wasted_memory_bytes"), _no_peak),
        "gpus_allocated": Fact(_GPUS),
        "gpus_observed": Fact(pl.col("gpus_observed"), _no_gpus_now, (_SEEN_NOW,)),
        "gpu_utilization_ratio": _since_start(
            pl.when(ledger_gpu_seconds > 0).then(pl.col("ledger_gpu_used_seconds") / ledger_gpu_seconds)
        ),
        "gpu_sm_occupancy_ratio": Fact(
            pl.col("gpu_sm_occupancy_ratio"),
            _no_profiling,
            (Observed(pl.col(coverage_of("gpu_sm_occupancy_ratio")), _only("nodes' GPUs")),),
        ),
        "gpu_idle_seconds": _idle("gpu_idle_seconds", "gpu_unseen_seconds", pl.lit(1.0)),
        "gpu_partly_idle_seconds": _idle("gpu_partly_idle_seconds", "gpu_partly_unseen_seconds", _GPUS),
        "gpu_wasted_seconds": _since_start(pl.col("wasted_gpu_seconds")),
    }


def _since_start(value: pl.Expr) -> Fact:
    """Give a sum or mean of the ledger; its share is the observed part of all GPU time of the run."""
    share = _of_gpu_time(_GPUS * pl.col("elapsed_seconds"))
    return Fact(pl.when(_TELLS_OF_GPUS).then(value), _no_ledger, (share,))


def _idle(idle_column: str, unseen_column: str, all_busy: pl.Expr) -> Fact:
    """Give how long fewer than `all_busy` GPUs have been busy; they must be observed until now."""
    idle, unseen = pl.col(idle_column), pl.col(unseen_column)
    # The snapshot is newer than the ledger's last closed window. Where it shows no GPU, it shows no busy one.
    busy_now = (pl.col("gpus_busy") >= all_busy) & (_GPU_COVERAGE > 0)
    value = pl.when(busy_now).then(0.0).when(~busy_now).then(idle)
    # Ten idle minutes before and after an hour in the dark are not twenty idle minutes.
    seen = pl.when(unseen > 0).then(idle / (idle + unseen)).when(unseen == 0).then(1.0)
    in_ledger = _of_gpu_time(
        _GPUS * (pl.col("ledger_until_timestamp_seconds") - pl.col("ledger_since_timestamp_seconds"))
    )
    shares = (in_ledger, Observed(seen, _only("time since a GPU was busy")), _SEEN_NOW)
    return Fact(pl.when(_TELLS_OF_GPUS).then(value), _no_idle_time, shares)


def _of_gpu_time(gpu_seconds: pl.Expr) -> Observed:
    """Give the observed share of some GPU time."""
    observed = (pl.col("ledger_gpu_seconds") / gpu_seconds).clip(upper_bound=1.0)
    return Observed(pl.when(gpu_seconds > 0).then(observed).when(gpu_seconds <= 0).then(0.0), _only("GPU time"))


def _only(what: str) -> Callable[[float, Row, Observation], str]:
    return lambda ratio, _run, _observation: f"only {int(ratio * 100)} % of the {what} was observed"


def _no_gpus_now(run: Row, observation: Observation) -> str:
    return observation.why_unseen(run, "gpu_utilization")


_SEEN_NOW: Final = Observed(_GPU_COVERAGE, lambda _ratio, run, observation: _no_gpus_now(run, observation))


def _no_profiling(_run: Row, _observation: Observation) -> str:
    return "no exporter shows the occupancy of its GPUs"


def _no_memory(run: Row, _observation: Observation) -> str:
    return _NO_MEMORY if run["granted_memory_bytes"] is None else ""


def _no_peak(run: Row, observation: Observation) -> str:
    return _no_memory(run, observation) or _no_total(run, observation, "memory_peak_bytes")


def _no_cpu_seconds(run: Row, observation: Observation) -> str:
    return _no_total(run, observation, "cpu_seconds")


def _no_total(run: Row, observation: Observation, input_name: str) -> str:
    """Say why nothing is known of a run since it began."""
    if run[input_name] is None:
        return observation.why_unseen(run, input_name)
    if run["observed_ratio"] is None:
        return "too little of its time was seen"
    return "it uses far more than it holds, so that Slurm cannot be managing that"


def _why_blind(run: Row, observation: Observation) -> str:
    """Say why idle GPUs would look busy or the other way round, "" where they do not."""
    if run["suspended_seconds"]:
        return "it has been suspended, which looks like idle GPUs"
    return "no exporter of the cluster shows any GPU" if observation.is_blind else ""


def _no_ledger(run: Row, observation: Observation) -> str:
    return _why_blind(run, observation) or "nothing has been added up of its GPUs yet"


def _no_idle_time(run: Row, observation: Observation) -> str:
    if run["ledger_since_timestamp_seconds"] is None:
        return _no_ledger(run, observation)
    return _why_blind(run, observation) or _no_gpus_now(run, observation)
