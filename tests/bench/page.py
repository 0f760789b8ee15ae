"""docs/performance.md and its picture, written by the bench itself."""

from pathlib import Path
from textwrap import fill

from tests.bench.chart import draw
from tests.bench.figures import Row
from tests.bench.report import Result, cells
from tests.bench.sizes import DEFAULT

_FOLDER = Path(__file__).resolve().parents[2] / "docs"
PAGE, PICTURE = _FOLDER / "performance.md", _FOLDER / "performance.svg"
_INTRODUCTION = """\
# Performance

`make bench` measures every row of this page on your machine, and `python -m tests.bench --write-docs` writes the page.
The reference is measured in the same run: compare ratios, not seconds, between machines. CPU is the CPU time of the
process, so that it does not depend on what else runs. A row without a reference has a target for ours alone.
"""
_SMALL = f"**The targets are for {DEFAULT.jobs:,} running jobs: at this size, one that is met says nothing.**"
_WIDTH = 120


def write(result: Result) -> None:
    """Write the page and its picture."""
    PAGE.write_text(render(result))
    PICTURE.write_text(draw(result.curve))


def render(result: Result) -> str:
    """Give the page."""
    sizes = result.sizes
    return "\n".join(
        (
            _INTRODUCTION,
            f"Measured on {result.date} with {result.edition} on {result.machine}.",
            f"Working point: {sizes.jobs:,} running jobs, a refresh every {sizes.interval:g} s;",
            f"{sizes.open_rows:,} of {sizes.rows:,} rows in slurmacct are open.",
            f"The load average before the run was {result.load:.1f}. On a machine that has much else to do,",
            "what is measured in ms by the clock on the wall (lateness, scrapes, the API) says little.",
            *([_SMALL] if sizes.jobs < DEFAULT.jobs else []),
            "",
            "## Figures",
            "",
            "| measure | ours | reference | ratio | target | met |",
            "|---|---|---|---|---|---|",
            *(_row(row) for row in result.rows),
            "",
            "## Cost by size",
            "",
            "What a refresh of the demo costs without its synthetic sources, and the memory of its process with them:",
            "",
            "![CPU of a refresh and memory by running jobs](performance.svg)",
            "",
            "| running jobs | all jobs | samples | CPU of a refresh | each job | memory | page, gzip |",
            "|---|---|---|---|---|---|---|",
            *(
                f"| {point.jobs:,} | {point.runs:,} | {point.samples:,} | {point.seconds:.2f} s"
                f" | {point.seconds / point.jobs * 1e6:.1f} µs | {point.memory:.0f} MB | {point.page:.1f} MB |"
                for point in result.curve
            ),
            "",
            "## How each is measured",
            "",
            *(_how(row) for row in result.rows),
            "",
        )
    )


def _row(row: Row) -> str:
    return f"| {' | '.join(cells(row))} |"


def _how(row: Row) -> str:
    reference = f" Reference: {row.measure.reference}." if row.measure.reference else ""
    note = f" In this run: {' '.join(row.figure.note.split())}." if row.figure.note else ""
    text = f"- **{row.measure.name}**: {row.measure.how}.{reference}{note}"
    return fill(text, _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
