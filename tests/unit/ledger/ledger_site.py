"""Sites for the ledger's tests: frames of a few rows with sound defaults, and random ones."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import polars as pl
from hypothesis import strategies as st

from aggregator.ledger.frames import ALLOCATED_GPUS, RUNS
from aggregator.ledger.totals import add, no_totals
from aggregator.ledger.window import Gains, gains
from aggregator.model.energy import METERS, MODELS, Prices
from aggregator.model.ledger import LedgerTotals
from aggregator.model.readings import GPUS, NODES, USED, Frame, Readings, Windows

BEGIN = 1_700_000_000.0 - 1_700_000_000.0 % 60
GIB = 2.0**30
PRICES = Prices(grams_per_kwh=30.0, pue=1.2, currency="CAD", per_kwh=0.1, cooling_share=0.25, cpu_hour=0.01)
Row = Mapping[str, Any]


def frame(kind: Frame, rows: Iterable[Row]) -> pl.DataFrame:
    return pl.DataFrame([dict(row) for row in rows], schema=kind.schema)


def run_row(run_id: int = 1, **changes: Any) -> Row:
    """Make alice's job 101 of 16 CPUs on n1, which began before the first window."""
    return {
        "run_id": run_id, "job_id": 100 + run_id, "user": "alice", "account": "def-kim", "start": BEGIN - 400,
        "end": None, "is_suspended": False, "suspended_since": None, "allocated_cpus": 16.0,
        "allocated_memory_bytes": GIB, "nodes": ["n1"], **changes,
    }  # fmt: skip


def node_row(window: int = 0, node: str = "n1", **changes: Any) -> Row:
    """Make a node of 32 CPUs that draws 200 W, 100 W at rest, and whose exporters answer."""
    return {
        "window": window, "node": node, "watts": 200.0, "gpu_watts": None, "static_watts": 100.0, "cpus": 32.0,
        "busy_cpus": None, "memory_bytes": 2.0**38, "gpus": None, "dram_share": None, "covered": 1.0,
        "meter": "redfish", "lacks_gpus": False, "vouches_cpus": True, "vouches_memory": True, "vouches_gpus": True,
        **changes,
    }  # fmt: skip


def used_row(window: int = 0, job_id: int = 101, node: str = "n1", **changes: Any) -> Row:
    return {"window": window, "job_id": job_id, "node": node, "used_cpus": 16.0, "used_memory_bytes": None, **changes}


def gpu_row(window: int = 0, job_id: int = 101, node: str = "n1", **changes: Any) -> Row:
    return {"window": window, "job_id": job_id, "node": node, "utilization": None, "watts": None, **changes}


@dataclass(frozen=True)
class Site:
    """What is read of a site in some windows of a minute; gpus_of is run id → GPU type → count."""

    windows: int = 1
    runs: tuple[Row, ...] = (run_row(),)
    nodes: tuple[Row, ...] = ()
    used: tuple[Row, ...] = ()
    gpus: tuple[Row, ...] = ()
    gpus_of: Mapping[int, Mapping[str, int]] | None = None
    prices: Prices = PRICES

    def readings(self, first: int = 0, end: int | None = None) -> Readings:
        """Give what is known of the windows from `first` to before `end`."""
        end = self.windows if end is None else end

        def part(kind: Frame, rows: Iterable[Row]) -> pl.DataFrame:
            return frame(
                kind, ({**row, "window": row["window"] - first} for row in rows if first <= row["window"] < end)
            )

        return Readings(
            Windows(BEGIN + 60 * first, 60.0, end - first),
            part(NODES, self.nodes),
            part(USED, self.used),
            part(GPUS, self.gpus),
        )

    def runs_frame(self) -> pl.DataFrame:
        return frame(RUNS, self.runs)

    def allocated_gpus(self) -> pl.DataFrame:
        return frame(
            ALLOCATED_GPUS,
            (
                {"run_id": run_id, "gpu_type": gpu_type, "gpus": float(count)}
                for run_id, types in (self.gpus_of or {}).items()
                for gpu_type, count in types.items()
            ),
        )

    def gains(self, totals: LedgerTotals | None = None, first: int = 0, end: int | None = None) -> Gains:
        meters = (totals or no_totals(BEGIN)).meters
        return gains(self.readings(first, end), self.runs_frame(), self.allocated_gpus(), meters, self.prices)

    def totals(self, *cuts: int) -> LedgerTotals:
        """Add all windows: at once, or in pieces that end at the cuts."""
        totals = no_totals(BEGIN)
        for first, end in zip((0, *cuts), (*cuts, self.windows), strict=True):
            if first < end:
                totals = add(totals, self.gains(totals, first, end))
        return totals


def rows_of(kind: Frame, of: pl.DataFrame) -> dict[Any, dict[str, Any]]:
    """Give a frame's rows by their key."""
    keys = kind.keys
    return {
        row[keys[0]] if len(keys) == 1 else tuple(row[key] for key in keys): {
            name: value for name, value in row.items() if name not in keys
        }
        for row in of.iter_rows(named=True)
    }


_NODE_NAMES = ("n1", "n2", "n3")
_GPU_TYPES = ("a100", "", "a100_3g.20gb", "h100_1g.10gb")
_chance = st.integers(0, 3).map(lambda number: number == 0)
# Above 0 nothing is so small that products of it lose digits.
_LEAST = 1e-6
_watts = st.sampled_from([None, 0.0, 100.0, 250.0]) | st.floats(_LEAST, 1e4)
_amount = st.sampled_from([None, 0.0, 4.0, 16.0]) | st.floats(_LEAST, 128)
_sizes = st.sampled_from([None, 0.0, 4.0, 32.0])
_time = st.sampled_from([-400.0, 0.0, 60.0, 120.0]) | st.floats(-100, 400)


@st.composite
def _run(draw: st.DrawFn, run_id: int) -> Row:
    begin = draw(_time)
    return {
        # Requeues and resizes make several runs of one job id, also on one node at one time.
        "run_id": run_id, "job_id": draw(st.integers(1, 3)), "user": draw(st.sampled_from(["alice", "bob"])),
        "account": draw(st.sampled_from(["def-kim", "rrg"])),
        "start": None if draw(_chance) and draw(_chance) else BEGIN + begin,
        "end": draw(st.none() | st.floats(0, 300).map(lambda seconds: BEGIN + begin + seconds)),
        "is_suspended": draw(_chance), "suspended_since": draw(st.none() | _time.map(lambda at: BEGIN + at)),
        "allocated_cpus": float(draw(st.integers(0, 64))),
        "allocated_memory_bytes": draw(st.none() | st.floats(0, 2.0**36).map(float.__ceil__).map(float)),
        "nodes": draw(st.lists(st.sampled_from([*_NODE_NAMES, "unseen"]), max_size=3, unique=True)),
    }  # fmt: skip


@st.composite
def _node(draw: st.DrawFn, window: int, node: str, blank: bool) -> Row:
    watts, healthy = draw(_watts), draw(st.booleans())
    return {
        "window": window, "node": node, "watts": watts, "gpu_watts": draw(_watts), "static_watts": draw(_watts),
        "cpus": draw(_sizes), "busy_cpus": draw(_amount), "memory_bytes": draw(_sizes.map(_in_gib)),
        "gpus": draw(_sizes), "dram_share": draw(st.none() | st.floats(0, 1)),
        "covered": draw(st.sampled_from([1.0, 0.5]) | st.floats(0, 1)), "meter": draw(st.sampled_from(METERS)),
        "lacks_gpus": draw(st.booleans()), "vouches_cpus": healthy and not blank, "vouches_memory": healthy,
        "vouches_gpus": healthy and not blank and draw(st.booleans()),
    }  # fmt: skip


def _in_gib(size: float | None) -> float | None:
    return None if size is None else size * GIB


@st.composite
def _window(draw: st.DrawFn, window: int, job_ids: list[int]) -> tuple[list[Row], list[Row], list[Row]]:
    """Draw what is known of one window; of a blank one CPU and GPU use have not been read."""
    blank = draw(_chance)
    nodes = [draw(_node(window, node, blank)) for node in _NODE_NAMES if not draw(_chance)]
    used, gpus = [], []
    for job_id in job_ids:
        for node in draw(st.lists(st.sampled_from(_NODE_NAMES), unique=True)):
            cpus = None if blank else draw(_amount)
            memory = draw(_amount.map(_in_gib))
            used.append(used_row(window, job_id, node, used_cpus=cpus, used_memory_bytes=memory))
            shown = 0 if blank else draw(st.integers(0, 3))
            gpus += [gpu_row(window, job_id, node, utilization=draw(_ratio)) for _ in range(shown)]
            gpus += [gpu_row(window, job_id, node, watts=draw(_board)) for _ in range(draw(st.integers(0, 2)))]
    return nodes, used, gpus


_ratio = st.sampled_from([0.0, 1.0]) | st.floats(0, 1)
_board = st.sampled_from([0.0, 50.0, 50.0005, 300.0]) | st.floats(_LEAST, 1000)


@st.composite
def sites(draw: st.DrawFn) -> Site:
    """Draw a site of three nodes, jobs with several runs, GPUs, slices and shared boards, and anything missing."""
    windows = draw(st.integers(1, 4))
    runs = tuple(draw(_run(2**63 + number)) for number in range(draw(st.integers(0, 6))))
    job_ids = sorted({run["job_id"] for run in runs} | {9})
    parts = [draw(_window(window, job_ids)) for window in range(windows)]
    gpus_of = {
        run["run_id"]: draw(st.dictionaries(st.sampled_from(_GPU_TYPES), st.integers(1, 4), max_size=2))
        for run in runs
        if draw(st.booleans())
    }
    prices = replace(
        draw(st.sampled_from([PRICES, Prices(), replace(PRICES, gpu_hour={"a100": 2.0, "default": 1.0})])),
        model=draw(st.sampled_from(MODELS)),
    )
    nodes, used, gpus = (tuple(row for part in parts for row in part[place]) for place in range(3))
    return Site(windows, runs, nodes, used, gpus, gpus_of, prices)
