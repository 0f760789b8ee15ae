"""The demo as a process at several sizes: what a refresh costs, what requests cost, what memory it takes."""

import os
import statistics
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from aggregator.synthetic import SyntheticCluster
from tests.bench import peer, questions, throughput
from tests.bench.child import alone
from tests.bench.clocks import memory_megabytes
from tests.bench.figures import Figure, Point
from tests.bench.running import Running
from tests.bench.sizes import Sizes
from tests.bench.under_load import under_load

CLUSTER = "demo"
_MICROSECONDS = 1e6
# Intervals go with the size, so that small sizes are soon measured; no refresh takes as long as its interval.
_INTERVAL_SHARE, _SECONDS_OF_A_JOB = 0.25, 3e-4


def running(root: Path, jobs: int, interval: float) -> Running:
    """Prepare a demo with so many running jobs."""
    state = root / "state"
    state.mkdir(parents=True)
    return Running(root, CLUSTER, ["demo", f"--jobs={jobs}", f"--state.dir={state}"], [f"--interval={interval}"])


def measure(sizes: Sizes, root: Path, program: str | None, curve: list[Point]) -> Iterator[Mapping[str, Figure]]:
    """Measure each size of the curve, and add its point to it; give figures as they are found.

    The working point and the largest have questions of their own. *program* is query-exporter, None without one.
    """
    for jobs in sizes.curve:
        interval = max(_INTERVAL_SHARE * sizes.interval, jobs * _SECONDS_OF_A_JOB)
        with running(root / f"demo-{jobs}", jobs, interval) as place:
            place.start()
            # The first refreshes have all to make anew, and the past to catch up with.
            place.catch_up()
            place.next_refresh()
            curve.append(_point(place, jobs, place.refresh_cost(sizes.refreshes, interval)))
            if jobs == sizes.jobs:
                yield from _at_the_working_point(place, sizes, curve[-1], program)
            if jobs == sizes.curve[-1]:
                yield from _at_the_largest(place, sizes, jobs)
    yield _linear(curve)


def flat(sizes: Sizes, root: Path) -> dict[str, Figure]:
    """Let a small demo refresh many times, and compare its memory late with that early."""
    with running(root, sizes.flat_jobs, sizes.flat_interval) as place:
        place.start()
        first, found = place.moment().fetches, list[float]()
        while place.moment().fetches < first + sizes.flat_refreshes:
            found.append(place.memory()[0])
            time.sleep(sizes.flat_interval)
    quarter = len(found) // 4
    early, late = statistics.median(found[quarter : 2 * quarter] or found), statistics.median(found[-quarter:])
    return {"memory_flat": Figure(late, early, f"{sizes.flat_refreshes} refreshes of {sizes.flat_jobs:,} running jobs")}


def _point(place: Running, jobs: int, seconds: float) -> Point:
    samples, page = place.page_size()
    counts = place.data(place.below(""))["jobs"]
    return Point(jobs, sum(each["count"] for each in counts), samples, seconds, place.memory()[0], page / 1e6)


def _at_the_working_point(
    place: Running, sizes: Sizes, point: Point, program: str | None
) -> Iterator[Mapping[str, Figure]]:
    yield {"refresh_synthetic": Figure(point.seconds, note=f"{point.samples:,} samples, {point.runs:,} jobs open")}
    if sizes.load_on == "demos":
        # Its jobs come and go by themselves.
        yield under_load(place, sizes, lambda ended: None)
    yield throughput.measure(place, sizes.seconds)
    yield peer.measure(place, point, sizes.repeats, program)


def _at_the_largest(place: Running, sizes: Sizes, jobs: int) -> Iterator[Mapping[str, Figure]]:
    resident, _ = place.memory()
    model = alone(_memory_of_the_model, jobs)
    note = f"{resident:.0f} MB with its model"
    yield {"memory_large": Figure(resident - model, note=note)}
    yield questions.measure(place, sizes.repeats)


def _memory_of_the_model(jobs: int) -> float:
    """Give the megabytes that the demo's cluster alone takes."""
    before, _ = memory_megabytes(os.getpid())
    cluster = SyntheticCluster(running=jobs, start=time.time())
    after, _ = memory_megabytes(os.getpid())
    assert cluster.live()
    return after - before


def _linear(curve: list[Point]) -> dict[str, Figure]:
    costs = [point.seconds / point.jobs * _MICROSECONDS for point in curve]
    return {"linear": Figure(costs[-1], costs[1] if len(costs) > 2 else costs[0])}
