"""The ledger, measured inside: one window more for a ledger that knows every run."""

import asyncio
import statistics
import time
from tempfile import TemporaryDirectory

from aggregator.config import State
from aggregator.join.ledger import LedgerBook
from aggregator.model.energy import Ledger, Prices
from aggregator.state import StateStore
from aggregator.synthetic import SyntheticCluster, SyntheticPower
from tests.bench.child import alone
from tests.bench.figures import Figure
from tests.bench.sizes import Sizes

_START = 1_700_000_000.0
_MILLISECONDS = 1e3
_WINDOWS_OF_A_DAY = 1440


def measure(sizes: Sizes) -> dict[str, Figure]:
    """Add a window and save it, in a process of its own."""
    added, saved = alone(_window, sizes.jobs, sizes.repeats)
    return {
        "ledger_window": Figure(added * _MILLISECONDS, note=f"saved in SQLite in {saved * _MILLISECONDS:.0f} ms"),
        "ledger_day": Figure(_WINDOWS_OF_A_DAY * added),
    }


def _window(jobs: int, repeats: int) -> tuple[float, float]:
    return asyncio.run(_measure(jobs, repeats))


async def _measure(jobs: int, repeats: int) -> tuple[float, float]:
    """Give the seconds of CPU to add a window, and those of the wall to save the ledger."""
    cluster = SyntheticCluster(running=jobs, start=_START)
    first, second = await SyntheticPower(cluster).windows(_START + 60 - _START % 60, 2)
    present = [live.run for live in cluster.ran_since(first.begin)]
    seen = LedgerBook(Ledger(first.begin), Prices())
    seen.add(first, present)
    before, added = seen.ledger(), []
    for _ in range(repeats):
        began = time.process_time()
        LedgerBook(before, Prices()).add(second, present)
        added.append(time.process_time() - began)
    return statistics.median(added), await _save(before)


async def _save(ledger: Ledger) -> float:
    with TemporaryDirectory() as folder:
        state = StateStore(State.model_validate({"url": f"sqlite:///{folder}/state.db"}))
        await state.open()
        began = time.perf_counter()
        await state.ledger.save("bench", ledger, None)
        seconds = time.perf_counter() - began
        await state.close()
    return seconds
