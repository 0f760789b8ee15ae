"""`make bench`: every row of the performance table, measured on this machine in this run."""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tests.bench import demos, ledger, page, real, rendering
from tests.bench.figures import Figure, Point
from tests.bench.report import Result
from tests.bench.sizes import DEFAULT, QUICK, Sizes

_PARTS = ("rendering", "ledger", "real", "demos")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write what the flags ask for; 1 when a part could not be measured."""
    flags = _parser().parse_args(arguments)
    result, failed = _earlier(flags.earlier) if flags.earlier else _new(flags)
    print(result.text())
    if flags.json:
        flags.json.write_text(json.dumps(result.json(), indent=2, ensure_ascii=False) + "\n")
    if flags.write_docs:
        page.write(result)
    return int(failed)


def _earlier(file: Path) -> tuple[Result, bool]:
    return Result.of_json(json.loads(file.read_text())), False


def _new(flags: argparse.Namespace) -> tuple[Result, bool]:
    sizes, (load, _, _) = _sizes(flags), os.getloadavg()
    figures, curve, failed = _measure(flags.only or _PARTS, sizes, flags.query_exporter or None)
    return Result(figures, curve, sizes, load), failed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, under a minute: only whether it works")
    parser.add_argument("--jobs", type=int, help=f"running jobs of the working point (default: {DEFAULT.jobs:,})")
    parser.add_argument("--rows", type=int, help=f"rows of slurmacct's job table (default: {DEFAULT.rows:,})")
    parser.add_argument("--curve", type=_numbers, metavar="N,N,…", help="running jobs of the cost curve's sizes")
    parser.add_argument("--flat", type=int, metavar="N", dest="flat_refreshes",
                        help=f"refreshes for memory to be flat over (default: {DEFAULT.flat_refreshes})")  # fmt: skip
    parser.add_argument("--only", action="append", choices=_PARTS, help="measure this part; may be repeated")
    parser.add_argument("--load-on", choices=("real", "demos"), help="whose service is put under load (default: real)")
    parser.add_argument("--query-exporter", metavar="FILE", default=shutil.which("query-exporter"),
                        help="the command of query-exporter (default: that of PATH)")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to a file, too")
    parser.add_argument("--from", type=Path, metavar="FILE", dest="earlier",
                        help="measure nothing: take the result that --json wrote")  # fmt: skip
    parser.add_argument("--write-docs", action="store_true", help="write docs/performance.md and its picture")
    return parser


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(sorted(int(number) for number in text.split(",")))


def _sizes(flags: argparse.Namespace) -> Sizes:
    """Give the sizes that the flags ask for; the working point is one of the curve."""
    given = {
        name: getattr(flags, name)
        for name in ("jobs", "rows", "curve", "flat_refreshes", "load_on")
        if getattr(flags, name)
    }
    sizes = replace(QUICK if flags.quick else DEFAULT, **given)
    return replace(sizes, curve=tuple(sorted({*sizes.curve, sizes.jobs})))


def _measure(
    parts: Sequence[str], sizes: Sizes, program: str | None
) -> tuple[Mapping[str, Figure], Sequence[Point], bool]:
    """Measure one part after the other; one that fails leaves what was found before."""
    figures, curve, failed = dict[str, Figure](), list[Point](), False
    with tempfile.TemporaryDirectory(prefix="hpc-aggregator-bench-") as folder:
        root = Path(folder)
        root.chmod(0o755)

        work: Mapping[str, Callable[[], Iterable[Mapping[str, Figure]]]] = {
            "rendering": lambda: [rendering.measure(sizes)],
            "ledger": lambda: [ledger.measure(sizes)],
            "real": lambda: real.measure(sizes, root),
            "demos": lambda: demos.measure(sizes, root, program, curve),
        }
        for part in parts:
            began = time.monotonic()
            try:
                for found in work[part]():
                    figures |= found
                    print(f"{time.monotonic() - began:>5.0f} s {part}: {', '.join(found)}", file=sys.stderr)
            except KeyboardInterrupt:
                # What was found until then is worth seeing.
                return figures, curve, True
            except Exception:
                failed = True
                traceback.print_exc()
    return figures, curve, failed


if __name__ == "__main__":
    # The servers end with it, however it is ended.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
