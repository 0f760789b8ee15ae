"""Whose is the energy that nodes took in windows?

The node's own GPUs apart, each model divides the host's energy into pots and shares them between the runs on the node
(tenants). Tenants, `idle` and `unattributed` always add up to what was measured, and none is negative.
"""

from collections.abc import Mapping, Sequence
from functools import cache, reduce
from operator import add
from typing import Final

import polars as pl

from aggregator.ledger.frames import by_number, sum_by
from aggregator.ledger.pots import Pot, even, known_part, own_gpus, reserved, used

# The part of a node's energy that its jobs share evenly in the model `usage` (CEEMS's choice).
EVEN_SHARE: Final = 0.1
_HOST: Final = pl.col("host_joules")
_GPUS: Final = "gpu"
_SIZES: Final = ["cpus", "memory_bytes", "gpus", "gpu_watts", "covered", "meter", "is_best_meter"]


def share(nodes: pl.DataFrame, tenants: pl.DataFrame, seconds: float, model: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Share the joules of measured nodes in windows of that many seconds between the tenants of these nodes.

    Gives the nodes with jobs_joules, idle_joules and unattributed_joules by this model, and the tenants with
    {model}_joules of each model (without GPUs), gpu_joules, and is_known: all is known that their part of this model
    rests on. All are of the whole window, whatever part of it was covered. A tenant's `place` is its node's row.
    """
    weights, columns = _weights(seconds), _columns(seconds)
    place = tenants["place"]
    tenants = tenants.hstack(nodes[_SIZES][place]).with_columns_seq(**weights)
    sums = by_number("place", sum_by("place", tenants[["place", *weights, "seconds"]]), len(nodes))
    whole = nodes.hstack(sums.with_columns_seq(pl.all().fill_null(0.0))).with_columns_seq(**_joules(seconds))
    whole = whole.with_columns_seq(**columns)
    tenants = tenants.hstack(whole[[*columns]][place]).with_columns_seq(**_shares(seconds), is_known=_is_known(model))
    return whole.with_columns_seq(**_components(seconds, model)), tenants


@cache
def _pots(seconds: float) -> Mapping[str, tuple[Pot, ...]]:
    """Give the pots of each model's host, and of the GPUs; a node whose power at rest is not known is all at rest."""
    static = pl.min_horizontal(_HOST, pl.col("static_watts") * seconds)
    by_use, dram = _HOST * (1 - EVEN_SHARE), pl.col("dram_share").fill_null(0.0)
    busy = pl.col("busy_cpus").fill_null(0.0) * seconds
    return {
        "allocation": (reserved("allocation", _HOST, "allocated_part", pl.col("allocated_part_unknown") == 0),),
        "usage": (
            even("usage", _HOST * EVEN_SHARE),
            used("usage_cpu", by_use * (1 - dram), "cpu_seconds"),
            used("usage_memory", by_use * dram, "memory_seconds"),
        ),
        "two_part": (
            reserved("static", static, "dominant_part", pl.col("cpus").is_not_null()),
            used("dynamic", _HOST - static, "cpu_seconds", busy),
        ),
        _GPUS: (own_gpus(pl.col("gpu_joules"), seconds),),
    }


@cache
def _weights(seconds: float) -> Mapping[str, pl.Expr]:
    """Say what tenants share by, each times its seconds there."""
    part, time = pl.col("seconds") / seconds, pl.col("seconds")
    allocated = pl.col("allocated_cpus") * time
    of_cpus, of_gpus = pl.col("allocated_cpus") / pl.col("cpus"), pl.col("allocated_gpus") / pl.col("gpus")
    of_memory = (pl.col("allocated_memory_bytes") / pl.col("memory_bytes")).fill_null(0.0)
    dominant = pl.when(pl.col("cpus").is_not_null()).then(pl.max_horizontal(of_cpus, of_memory))
    reserved_part = pl.when(pl.col("allocated_gpus") > 0).then(pl.coalesce(of_gpus, of_cpus)).otherwise(of_cpus)
    return {
        "allocated_part": (reserved_part * part).fill_null(0.0),
        "allocated_part_unknown": reserved_part.is_null().cast(pl.Float64),
        "dominant_part": (dominant * part).fill_null(0.0),
        "cpu_seconds": pl.col("used_cpus").fill_null(0.0) * time,
        "cpu_seconds_unknown": pl.when(pl.col("used_cpus").is_null()).then(allocated).otherwise(0.0),
        "memory_seconds": pl.col("used_memory_bytes").fill_null(0.0) * time,
        "memory_seconds_unknown": pl.when(pl.col("used_memory_bytes").is_null()).then(allocated).otherwise(0.0),
        "allocated_cpu_seconds": allocated,
        "allocated_gpu_seconds": pl.col("allocated_gpus") * time,
        "own_gpu_joules": pl.col("own_gpu_watts").fill_null(0.0) * time,
        "unseen_gpu_seconds": pl.col("unseen_gpus") * time,
    }


@cache
def _joules(seconds: float) -> Mapping[str, pl.Expr]:
    """Give the joules of the whole node, of its GPUs and of the rest; the meters differ, and the node's is believed.

    And the parts of tenants whose use is known.
    """
    own = pl.col("own_gpu_joules")
    joules = pl.col("watts") * seconds + pl.when("lacks_gpus").then(own).otherwise(0.0)
    of_gpus = pl.min_horizontal(pl.coalesce(pl.col("gpu_watts") * seconds, own), joules)
    known = {f"{amount}_known": known_part(amount) for amount in ("cpu_seconds", "memory_seconds")}
    return {"joules": joules, "gpu_joules": of_gpus, "host_joules": joules - of_gpus, **known}


@cache
def _columns(seconds: float) -> Mapping[str, pl.Expr]:
    """Give the columns of nodes that the pots need."""
    pots = (pot for of_model in _pots(seconds).values() for pot in of_model)
    return {column.meta.output_name(): column for pot in pots for column in pot.columns}


@cache
def _shares(seconds: float) -> Mapping[str, pl.Expr]:
    """Give a tenant's joules by each model, and those of its GPUs."""
    return {f"{of}_joules": _sum([pot.share for pot in pots]) for of, pots in _pots(seconds).items()}


@cache
def _components(seconds: float, model: str) -> Mapping[str, pl.Expr]:
    """Give whose a node's joules are; the host of an empty node is idle whatever the model."""
    pots = (*_pots(seconds)[_GPUS], *_pots(seconds)[model])
    idle, unattributed = _sum([pot.idle for pot in pots]), _sum([pot.unattributed for pot in pots])
    is_empty = pl.col("seconds") <= 0
    return {
        "jobs_joules": _sum([pot.share for pot in pots]),
        "idle_joules": pl.when(is_empty).then("joules").otherwise(idle),
        "unattributed_joules": pl.when(is_empty).then(0.0).otherwise(unattributed),
    }


@cache
def _is_known(model: str) -> pl.Expr:
    """Tell whether all is known that a tenant's part rests on: else some of it is unattributed, or another's."""
    has_gpus, is_counted = pl.col("allocated_gpus") > 0, pl.col("gpus").is_not_null()
    gpus = ~has_gpus | pl.col("own_gpu_watts").is_not_null() | (pl.col("gpu_watts").is_not_null() & is_counted)
    if model == "allocation":
        return gpus & (pl.col("cpus").is_not_null() | (has_gpus & is_counted))
    use = pl.col("used_cpus").is_not_null()
    return gpus & use if model == "usage" else gpus & use & pl.col("cpus").is_not_null()


def _sum(parts: Sequence[pl.Expr]) -> pl.Expr:
    return reduce(add, parts)
