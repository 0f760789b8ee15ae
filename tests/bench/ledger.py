"""The ledger, measured inside: one window more for a ledger that knows every run."""

import asyncio
import statistics
import time
from collections.abc import Callable
from tempfile import TemporaryDirectory

from aggregator.app.layouts import CLUSTERS
from aggregator.config import State
from aggregator.ledger.runs import runs_of
from aggregator.ledger.totals import add, no_totals
from aggregator.ledger.window import gains
from aggregator.model.energy import Prices
from aggregator.model.job_inputs import runs_of as columns_of
from aggregator.model.ledger import BEST_METERS, LedgerTotals
from aggregator.state import StateStore
from aggregator.synthetic import SyntheticCluster, SyntheticPower
from tests.bench.child import alone
from tests.bench.figures import Figure
from tests.bench.sizes import Sizes

_START = 1_700_000_000.0
_MILLISECONDS = 1e3
_WINDOWS_OF_A_DAY = 1440
_BATCH = 15


def measure(sizes: Sizes) -> dict[str, Figure]:
    """Add a window and save it, in a process of its own."""
    added, of_batch, saved = alone(_window, sizes.jobs, sizes.repeats)
    return {
        "ledger_window": Figure(added * _MILLISECONDS, note=f"saved in SQLite in {saved * _MILLISECONDS:.0f} ms"),
        "ledger_day": Figure(_WINDOWS_OF_A_DAY * of_batch, note=f"in batches of {_BATCH} windows"),
    }


def _window(jobs: int, repeats: int) -> tuple[float, float, float]:
    return asyncio.run(_measure(jobs, repeats))


async def _measure(jobs: int, repeats: int) -> tuple[float, float, float]:
    """Give the seconds of CPU to add a window, and each of a batch, and those of the wall to save the ledger."""
    cluster = SyntheticCluster(running=jobs, start=_START)
    begin, power = _START - _START % 60, SyntheticPower(cluster)
    first, second = await power.windows(begin + 60, 1), await power.windows(begin + 120, 1)
    batch = await power.windows(begin + 120, _BATCH)
    found = columns_of(live.run for live in cluster.ran_since(begin))
    runs = runs_of(CLUSTERS.empty()["jobs"], found)
    before = add(no_totals(begin), gains(first, *runs, BEST_METERS.empty(), Prices()))
    one = [_seconds(lambda: add(before, gains(second, *runs, before.meters, Prices()))) for _ in range(repeats)]
    many = _seconds(lambda: add(before, gains(batch, *runs, before.meters, Prices())))
    return statistics.median(one), many / _BATCH, await _save(before)


def _seconds(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


async def _save(ledger: LedgerTotals) -> float:
    with TemporaryDirectory() as folder:
        state = StateStore(State.model_validate({"url": f"sqlite:///{folder}/state.db"}))
        await state.open()
        began = time.perf_counter()
        await state.ledger.save("bench", ledger, None)
        seconds = time.perf_counter() - began
        await state.close()
    return seconds
