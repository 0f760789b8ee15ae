"""What the ledger has added up: what each column says, in which unit, and what null means there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from aggregator.model.energy import COMPONENTS, COST_COMPONENTS, METERS, MODELS, Prices
from aggregator.model.readings import METER, NODE, Column, Frame

_F: Final = pl.Float64


def _joules(of_whom: str, null: str = "") -> tuple[Column, ...]:
    return tuple(
        Column(f"{model}_joules", _F, f"energy of {of_whom} without GPUs, by the model {model}", "joules", null)
        for model in MODELS
    )


def _meter_seconds() -> tuple[Column, ...]:
    return tuple(
        Column(f"{meter}_seconds", _F, f"time × share of nodes whose power {meter} showed", "seconds", "none was shown")
        for meter in METERS
    )


def _columns(unit: str, names: Sequence[str], meaning: str) -> tuple[Column, ...]:
    return tuple(Column(f"{name}_{unit}", _F, meaning.format(name), unit) for name in names)


RUN_ID: Final = Column("run_id", pl.UInt64, "job_db_inx of the run")
USER: Final = Column("user", pl.String, "user of the run")
ACCOUNT: Final = Column("account", pl.String, "account of the run")
_COSTS = (
    Column("currency", pl.String, "currency of the amounts"),
    *(
        Column(f"{component}_cost", _F, f"what {component} has cost", "currency", "nothing that has a price")
        for component in COST_COMPONENTS
    ),
)
_WASTED_COSTS = tuple(
    Column(f"wasted_{name}_cost", _F, f"the part of {name}_cost for what was not used", "currency", "nothing was seen")
    for name in COST_COMPONENTS
)

# What comes out of some windows.
_RUN_SUMS = (
    Column("since", _F, "start of the first window that it touched, cut to the run", "epoch seconds"),
    Column("until", _F, "end of the last one, cut to the run", "epoch seconds"),
    Column("power_seconds", _F, "time × share of nodes in which all was known that its energy rests on", "seconds"),
    *_meter_seconds(),
    *_joules("the run", "nothing was measured"),
    Column("gpu_joules", _F, "energy of its own GPUs", "joules", "nothing was measured"),
    Column("co2_grams", _F, "CO2 equivalent, by the chosen model", "grams", "nothing was measured, or no factor"),
    Column("gpu_seconds", _F, "GPUs × time whose utilisation was known", "seconds"),
    Column("gpu_used_seconds", _F, "Σ utilisation × time", "seconds"),
    Column("gpu_idle_seconds", _F, "observed time since one of its GPUs was last busy", "seconds"),
    Column("gpu_partly_idle_seconds", _F, "observed time since all were last busy", "seconds"),
    Column("gpu_unseen_seconds", _F, "time since one was last busy in which nothing was observed", "seconds"),
    Column("gpu_partly_unseen_seconds", _F, "the same since all were", "seconds"),
)
_NODE_SUMS = (
    NODE,
    Column("until", _F, "end of the last window in which it was measured", "epoch seconds"),
    *_columns("joules", COMPONENTS, "energy of the node, {}, by the chosen model"),
    Column("power_seconds", _F, "time in which the best meter measured it", "seconds"),
    Column("fallback_seconds", _F, "time in which another did", "seconds"),
    Column("meter", METER, "the best meter that has ever measured it"),
)
RUN_GAINS: Final = Frame("run_gains", 1, (
    RUN_ID, *_RUN_SUMS, *_COSTS,
    Column("was_busy", pl.Boolean, "a GPU was busy: gpu_idle_seconds and gpu_unseen_seconds are those since then"),
    Column("was_all_busy", pl.Boolean, "all were: the same of gpu_partly_…"),
))  # fmt: skip
_USER_SUMS = (
    USER,
    ACCOUNT,
    Column("until", _F, "end of the last window in which they had a run", "epoch seconds"),
    Column("joules", _F, "energy by the chosen model, GPUs included", "joules", "nothing was measured"),
    Column("co2_grams", _F, "CO2 equivalent", "grams", "nothing was measured, or no factor"),
    Column("wasted_cpu_seconds", _F, "CPUs held and not used × time, as far as it was seen", "seconds", "nothing was"),
    Column("wasted_gpu_seconds", _F, "GPUs held and not used × time, as far as it was seen", "seconds", "nothing was"),
    Column("wasted_joules", _F, "their part of the energy", "joules", "nothing was measured, or no use was seen"),
)
USER_GAINS: Final = Frame("user_gains", 2, (*_USER_SUMS, *_COSTS, *_WASTED_COSTS))
NODE_GAINS: Final = Frame("node_gains", 1, _NODE_SUMS)
RUN_POWER: Final = Frame("run_power", 1, (
    RUN_ID,
    *(Column(f"{model}_watts", _F, f"mean power without GPUs over the window, by {model}", "watts")
      for model in MODELS),
    Column("gpu_watts", _F, "mean power of its own GPUs", "watts", "they drew nothing that is known"),
    Column("coverage", _F, "share of the window in which all was known that its power rests on, 0–1"),
))  # fmt: skip
NODE_POWER: Final = Frame("node_power", 1, (
    NODE,
    *_columns("watts", COMPONENTS, "mean power of the node, {}, by the chosen model"),
    Column("meter", METER, "what measured it in the window"),
))  # fmt: skip

# What is kept.
RUN_TOTALS: Final = Frame("run_totals", 1, (RUN_ID, *_RUN_SUMS))
NODE_TOTALS: Final = Frame("node_totals", 1, _NODE_SUMS)
USER_TOTALS: Final = Frame("user_totals", 2, _USER_SUMS)
RUN_COSTS: Final = Frame("run_costs", 2, (RUN_ID, *_COSTS))
USER_COSTS: Final = Frame("user_costs", 3, (USER, ACCOUNT, *_COSTS, *_WASTED_COSTS))
BEST_METERS: Final = Frame("meters", 1, (
    NODE, Column("meter", METER, "the best meter that has ever measured it"),
))  # fmt: skip


@dataclass(frozen=True, slots=True, weakref_slot=True)
class LedgerTotals:
    """All that is added up of a cluster until the end of the last closed window (window_end, epoch seconds).

    The frames are RUN_TOTALS, RUN_COSTS, USER_TOTALS, USER_COSTS and NODE_TOTALS; runs and run_costs have the open runs
    and those that ended lately.
    """

    window_end: float
    runs: pl.DataFrame
    run_costs: pl.DataFrame
    users: pl.DataFrame
    user_costs: pl.DataFrame
    nodes: pl.DataFrame

    @property
    def meters(self) -> pl.DataFrame:
        """Give the best meter of each node so far, the frame BEST_METERS."""
        return BEST_METERS.of(self.nodes)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Power:
    """The power of the last closed window: the frames RUN_POWER and NODE_POWER."""

    window_end: float
    runs: pl.DataFrame
    nodes: pl.DataFrame


@dataclass(frozen=True, slots=True)
class LedgerView:
    """What a snapshot shows of the ledger: its totals, the power of its last window (None: stale), and its factors."""

    prices: Prices
    totals: LedgerTotals
    power: Power | None = None
