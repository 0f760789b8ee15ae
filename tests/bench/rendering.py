"""Rendering, measured inside: the renderer of the service, and prometheus_client on the same samples."""

import asyncio
import gc
import statistics
import time
from collections.abc import Callable, Iterator

from isal import igzip
from prometheus_client import generate_latest

from aggregator.app.layouts import CLUSTERS
from aggregator.config import active_rules, load_rules
from aggregator.engine.exposition import head
from aggregator.engine.frame import Frames
from aggregator.model.job_inputs import Accounting
from aggregator.synthetic import SyntheticAccounting, SyntheticCluster, SyntheticUse
from tests.bench.child import alone
from tests.bench.figures import Figure
from tests.bench.reference import Page
from tests.bench.sizes import Sizes
from tests.clusters import Row, join_cluster, make_energy

_START = 1_700_000_000.0


def measure(sizes: Sizes) -> dict[str, Figure]:
    """Render the working point in a process of its own."""
    ours, reference, samples = alone(_render, sizes.jobs, sizes.repeats)
    return {"render": Figure(ours, reference, f"{samples:,} samples")}


def _render(jobs: int, repeats: int) -> tuple[float, float, int]:
    frames = asyncio.run(_frames(jobs))
    members = CLUSTERS.render("demo", frames)
    ours = _median(lambda: CLUSTERS.render("demo", frames), repeats)
    compressed = [part for family in CLUSTERS.listings if family.name in members
                  for part in (head(family, openmetrics=False), *members[family.name].pieces)]  # fmt: skip
    page = b"".join(igzip.decompress(part) for part in compressed).decode()
    registry = Page(page).registry()
    samples = sum(not line.startswith("#") for line in page.splitlines())
    text = generate_latest(registry)
    assert sum(not line.startswith(b"#") for line in text.splitlines()) == samples, "not the same samples"
    return ours, _median(lambda: generate_latest(registry), max(1, repeats // 3)), samples


async def _frames(jobs: int) -> Frames:
    """Join what the synthetic sources say."""
    cluster = SyntheticCluster(running=jobs, start=_START)
    accounting = await SyntheticAccounting(cluster).fetch(_START)
    use = await SyntheticUse(cluster).fetch(_START)
    ledger = make_energy(*_ledger(accounting))
    return join_cluster(accounting.runs, use, ledger, rules=active_rules(load_rules()), at=_START)


def _ledger(accounting: Accounting) -> Iterator[Row]:
    """Make a ledger that has seen every GPU run from its start, well enough that every rule is applied."""
    for run in accounting.runs:
        if run.holds_resources and run.start is not None and run.allocated.gpus:
            seconds = 0.95 * run.allocated.gpu_count * run.elapsed(_START)
            span = {"since": run.start, "until": _START, "run_id": run.run_id}
            yield {**span, "gpu_seconds": seconds, "gpu_used_seconds": 0.2 * seconds}


def _median(work: Callable[[], object], repeats: int) -> float:
    """Give the median of the CPU seconds; garbage is collected before each."""
    seconds = []
    for _ in range(repeats):
        gc.collect()
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return statistics.median(seconds)
