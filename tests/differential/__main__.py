"""`make differential`: read every input with both editions, and say what differs."""

import argparse
import re
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from tests.differential.bench import Bench, Moment
from tests.differential.edition import PREVIOUS, REPOSITORY, Edition, previous_edition, this_edition
from tests.differential.inputs import INPUTS
from tests.differential.page import Difference
from tests.differential.report import Report
from tests.lab.mariadb import MariaDB
from tests.lab.prometheus import PrometheusServer
from tests.scenarios.site import Servers

# A page may be read while a last change is on its way: what differs is looked at again.
_LOOKS = 3


def main() -> int:
    """Compare; 1 when something differs that is not meant, or something that is meant does not."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("inputs", nargs="*", metavar="input", help=f"one of {', '.join(INPUTS)} (default: all)")
    parser.add_argument("--old", default=PREVIOUS, metavar="COMMIT", help="the edition to compare with (%(default)s)")
    parser.add_argument("--new", type=Path, default=REPOSITORY, metavar="FOLDER", help="another tree of this edition")
    flags = parser.parse_args()
    if unknown := set(flags.inputs) - INPUTS.keys():
        parser.error(f"no such input: {', '.join(sorted(unknown))}")
    names = flags.inputs or list(INPUTS)
    editions = (previous_edition(flags.old), this_edition(flags.new.resolve()))
    # The servers are processes of their own: they end when we are ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    report = Report()
    with _bench(editions) as bench:
        for name in names:
            for line in _compared(bench, name, report):
                print(line, flush=True)
    lines, is_well = report.end(_documented(), whole=len(names) == len(INPUTS))
    print(*lines, sep="\n")
    return 0 if is_well else 1


def _compared(bench: Bench, name: str, report: Report) -> Iterator[str]:
    """Go through an input, and compare the pages at each of its moments."""
    started = time.monotonic()
    # Closed whatever happens: it holds what it has started.
    with closing(INPUTS[name](bench)) as moments:
        for moment in moments:
            try:
                page, found = _look(moment, name, report)
            except Exception:
                print(moment.pair.tail(), file=sys.stderr)
                raise
            yield from report.note(name, moment.name, page, found, time.monotonic() - started)
            started = time.monotonic()


def _look(moment: Moment, name: str, report: Report) -> tuple[str, list[Difference]]:
    """Read both pages once both services have settled, and again while something differs that should not."""
    page, found = "", list[Difference]()
    for _ in range(_LOOKS):
        moment.pair.settle(moment.rounds)
        page, found = moment.pair.compare()
        if not report.judge(name, found)[0]:
            break
    return page, found


def _documented() -> Sequence[str]:
    """List the families that docs/metrics.md promises."""
    text = (REPOSITORY / "docs/metrics.md").read_text(encoding="utf-8")
    return re.findall(r"^\| `(hpc_\w+)`", text, re.MULTILINE)


@contextmanager
def _bench(editions: Sequence[Edition]) -> Iterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="hpc-aggregator-differential-") as folder:
        root = Path(folder)
        root.chmod(0o755)
        mariadb = MariaDB(root)
        flags = ("--web.enable-remote-write-receiver",)
        prometheus = PrometheusServer(root, flags=flags, late_window="30d", retention="60d")
        try:
            mariadb.start()
            prometheus.start()
            yield Bench(editions, root, Servers(mariadb, prometheus))
        finally:
            prometheus.stop()
            mariadb.stop()


if __name__ == "__main__":
    sys.exit(main())
