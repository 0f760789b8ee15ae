"""`make bench`: the performance table, measured on this machine in this run."""

import argparse
import asyncio
import resource
import statistics
import time
from collections.abc import Callable
from tempfile import TemporaryDirectory

from prometheus_client import generate_latest

from aggregator.config import State, active_rules, load_rules
from aggregator.exposition import Renderer
from aggregator.join.cluster import join_cluster
from aggregator.join.efficiency import FairShare
from aggregator.join.energy import LedgerView
from aggregator.join.facts import Observed
from aggregator.join.ledger import LedgerBook
from aggregator.join.waste import Judge
from aggregator.model.accounting import Accounting
from aggregator.model.energy import Ledger, Prices, RunLedger
from aggregator.model.view import ClusterView
from aggregator.state import StateStore
from aggregator.synthetic import SyntheticAccounting, SyntheticCluster, SyntheticPower, SyntheticUse
from tests.bench import slurmacct
from tests.reference import expected_registry

START = 1_700_000_000.0


def main() -> None:
    """Measure rendering and refreshing at the given size."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--jobs", type=int, default=20_000, help="running jobs (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="repetitions; the median counts (default: %(default)s)")
    parser.add_argument(
        "--rows", type=int, default=5_000_000, help="rows of slurmacct's job table, 0 for none (default: %(default)s)"
    )
    flags = parser.parse_args()
    view, refresh = asyncio.run(_refresh(flags.jobs, flags.runs))
    renderer = Renderer()
    members = renderer.render(view)
    series = sum(member.series for member in members.values())
    ours = _median(lambda: renderer.render(view), flags.runs)
    registry = expected_registry([view])
    reference = _median(lambda: generate_latest(registry), max(1, flags.runs // 3))
    size = sum(len(member.content) for member in members.values())
    print(f"{len(view.jobs):,} jobs ({flags.jobs:,} running), {series:,} series, {size / 2**20:.1f} MiB of gzip")
    print(f"{'measure':<44}{'ours':>10}{'reference':>12}{'ratio':>8}")
    print(f"{'render all families':<44}{ours:>9.2f}s{reference:>11.2f}s{reference / ours:>7.1f}x")
    print(f"{'  ours with gzip; reference prometheus_client, plain':<44}")
    for stage, seconds in refresh.items():
        print(f"{stage:<44}{seconds:>9.2f}s{seconds / flags.jobs * 1e6:>9.1f}µs for each running job")
    if flags.rows:
        # All of slurmacct's open rows: as many pending ones again.
        slurmacct.measure(flags.rows, 2 * flags.jobs, flags.runs)
    print(f"{'peak memory of this process':<44}{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10:>7.0f}MiB")


async def _refresh(jobs: int, runs: int) -> tuple[ClusterView, dict[str, float]]:
    """Fetch from the synthetic cluster and join, as a refresh does."""
    cluster = SyntheticCluster(
        nodes=max(60, jobs * 3 // 40), gpu_nodes=max(12, jobs // 100), running=jobs, start=START, since=START - 900
    )
    accounting = await SyntheticAccounting(cluster).fetch(START)
    use = await SyntheticUse(cluster).fetch(START)

    ledger, judge = LedgerView(Prices(), Ledger(START, _ledger(accounting))), Judge(active_rules(load_rules()))

    def join() -> ClusterView:
        return join_cluster(
            cluster.name, START, accounting, use, previous={}, fair_share=FairShare(), awards={}, ledger=ledger,
            judge=judge,
        )  # fmt: skip

    view = join()
    running = [job for job in view.jobs if job.run.holds_resources]
    observed = Observed(START, FairShare(), use)
    return view, {
        "join (runs with use, waste, sums)": _median(join, runs),
        "judge waste by the shipped rules": _median(lambda: [judge.judge(job, observed) for job in running], runs),
        **await _ledger_seconds(cluster, runs),
    }


async def _ledger_seconds(cluster: SyntheticCluster, runs: int) -> dict[str, float]:
    """Add one window to a ledger that has seen every run, and save it."""
    end = START + 60 - START % 60
    first, second = await SyntheticPower(cluster).windows(end, 2)
    present = [live.run for live in cluster.ran_since(first.begin)]
    seen = LedgerBook(Ledger(first.begin), Prices())
    seen.add(first, present)
    before = seen.ledger()
    with TemporaryDirectory() as folder:
        state = StateStore(State.model_validate({"url": f"sqlite:///{folder}/state.db"}))
        await state.open()
        started = time.perf_counter()
        await state.ledger.save("bench", before, None)
        saved = time.perf_counter() - started
        await state.close()
    return {
        "ledger: add one window of 60 s": _median(lambda: LedgerBook(before, Prices()).add(second, present), runs),
        "ledger: save one window in SQLite": saved,
    }


def _ledger(accounting: Accounting) -> dict[int, RunLedger]:
    """Make a ledger that has seen every GPU run from its start, well enough that every rule is applied."""
    ledger = {}
    for run in accounting.runs:
        if run.holds_resources and run.start is not None and run.allocated.gpus:
            seconds = 0.95 * run.allocated.gpu_count * run.elapsed(START)
            ledger[run.run_id] = RunLedger(run.start, START, gpu_seconds=seconds, gpu_used_seconds=0.2 * seconds)
    return ledger


def _median(work: Callable[[], object], runs: int) -> float:
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


if __name__ == "__main__":
    main()
