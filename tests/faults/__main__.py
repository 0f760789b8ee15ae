"""`make soak`: every fault over and over under load, for half an hour; what must hold, and what was measured."""

import argparse
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.faults.crowd import Held, crowded, held, paths
from tests.faults.load import API, SCRAPE, Load
from tests.faults.provoked import FAULTS, RESTARTS
from tests.faults.survival import Outcome, survive
from tests.lab.mariadb import MariaDB
from tests.lab.prometheus import PrometheusServer
from tests.scenarios.site import Servers, Site

# Resident memory may grow by this much an hour: more is a leak.
_GROWTH_MIB_PER_HOUR = 20.0
# The first rounds fill caches.
_SETTLED = 0.4
# A shorter time says nothing of growth.
_LONG_SECONDS = 600.0


def main() -> int:
    """Run for the time given; 1 when something did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (default: %(default)g)")
    minutes = parser.parse_args().minutes
    with ExitStack() as stack:
        site = stack.enter_context(_site())
        feeder = stack.enter_context(crowded(site))
        load = stack.enter_context(Load(site.service, paths(site)))
        outcomes, sizes, lags = [], [], []
        end = time.monotonic() + 60 * minutes
        for fault in _rounds():
            feeder.feed()
            outcomes.append(survive(site, load, fault))
            sizes.append((time.monotonic(), _held(site)))
            lags.append(site.value("hpc_aggregator_event_loop_lag_seconds") or 0.0)
            left = max(0.0, end - time.monotonic())
            print(f"\r{left / 60:5.1f} min left, {len(outcomes)} faults, last: {fault:<40}", end="", flush=True)
            if not left:
                break
        print()
        print(f"slowest scrape {load.slowest[SCRAPE]:.2f} s, slowest answer of the API {load.slowest[API]:.2f} s, "
              f"event loop late by {max(lags):.2f} s at most")  # fmt: skip
        return _report(outcomes, sizes)


def _rounds() -> Iterator[str]:
    """Give the faults that do not end the process, over and over: its memory is to be watched."""
    while True:
        yield from (fault for fault in FAULTS if fault not in RESTARTS)


@contextmanager
def _site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="hpc-soak-") as name, ExitStack() as stack:
        root = Path(name)
        root.chmod(0o755)
        mariadb = MariaDB(root)
        mariadb.start()
        stack.callback(mariadb.stop)
        flags = ("--web.enable-remote-write-receiver",)
        prometheus = PrometheusServer(root, flags=flags, late_window="30d")
        prometheus.start()
        stack.callback(prometheus.stop)
        yield stack.enter_context(Site(Servers(mariadb, prometheus), root))


def _held(site: Site) -> Held:
    pid = site.service.daemon.pid
    assert pid
    return held(pid)


def _report(outcomes: Sequence[Outcome], sizes: Sequence[tuple[float, Held]]) -> int:
    by_fault: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_fault[outcome.fault].append(outcome)
    print(f"{'fault':<42}{'times':>6}{'answers':>9}{'recovery, median':>18}{'worst':>8}{'wrong':>7}")
    for fault, found in by_fault.items():
        times = [each.recovery for each in found]
        wrong = sum(bool(each.wrong) for each in found)
        print(
            f"{fault:<42}{len(found):>6}{sum(each.answers for each in found):>9,}"
            f"{statistics.median(times):>16.1f} s{max(times):>6.1f} s{wrong:>7}"
        )
    growth = _growth(sizes)
    first, last = sizes[int(len(sizes) * _SETTLED)][1], sizes[-1][1]
    print(f"memory {last.memory / 2**20:.0f} MiB, {growth:+.1f} MiB per hour")
    print(f"threads {first.threads} → {last.threads}, descriptors {first.descriptors} → {last.descriptors}")
    wrong = sorted({f"{each.fault}: {text}" for each in outcomes for text in each.wrong})
    wrong += [f"memory grows by {growth:.0f} MiB an hour"] * (growth > _GROWTH_MIB_PER_HOUR)
    print("\n".join(wrong) or "everything held")
    return 1 if wrong else 0


def _growth(sizes: Sequence[tuple[float, Held]]) -> float:
    """Give the slope of resident memory in MiB per hour without the time in which caches fill; 0 of a short run."""
    settled = sizes[int(len(sizes) * _SETTLED) :]
    if settled[-1][0] - settled[0][0] < _LONG_SECONDS:
        return 0.0
    slope, _ = statistics.linear_regression([at for at, _ in settled], [each.memory for _, each in settled])
    return slope * 3600 / 2**20


if __name__ == "__main__":
    sys.exit(main())
