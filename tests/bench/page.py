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
_WHY = """\
## Where the time and the memory go

This was measured by hand at 20,000 running jobs of the demo. It says what a row that is not met would need.

- **A refresh** is half rendering and more than a third joins. The rest is what is fetched and kept. A family whose rows
  and values are the same keeps its bytes. Most tables gain by that, but seldom that of the jobs: at each refresh some
  40 are new and 40 are gone, and all others change their places. To keep their bytes, too, they would have to be
  written in pieces of some hundred rows. Each piece of each column is a pass of its own, which costs as much as a
  thousand lines.
- **Rendering** is bound by memory. Of the time for jobs, 28 % is gzip (1.7 GB/s, at its fastest level), 18 % is to
  write numbers as text, 20 % to put texts together, 18 % to select rows and write their labels, and 16 % is
  `hpc_job_info`. One copy of the texts less saved nothing that could be measured. Fewer labels would save most.
- **Joins** of a cluster are 523 steps of Polars, most of them over some thousand rows: to make their expressions in
  Python takes at least as long as to evaluate them. Threads are not the reason: with expressions one after the other
  the CPU is the same, and with one thread of Polars nearly. Fewer steps would help.
- **The ledger** adds a window in 86 such steps: 17 ms for what is gained and 4 ms to add it to the totals with one
  thread of Polars, 12 % more with two. It is next to its target for the same reason.
- **Memory** is 150 MB before anything is read: Polars 26 MB, SQLAlchemy 21 MB, aiohttp 17 MB, database drivers 10 MB,
  Alembic 9 MB, the rest is the service itself and smaller packages. The rows of 60,000 open jobs, as they were read
  last, take 35 MB as Python's objects. The jobs' frame of 30,000 rows takes 20 MB, and is there twice during a refresh.
  The rest is pages, answers, and what the allocators keep. Rows that are packed would save some 10 MB.
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
            _WHY,
        )
    )


def _row(row: Row) -> str:
    return f"| {' | '.join(cells(row))} |"


def _how(row: Row) -> str:
    reference = f" Reference: {row.measure.reference}." if row.measure.reference else ""
    note = f" In this run: {' '.join(row.figure.note.split())}." if row.figure.note else ""
    text = f"- **{row.measure.name}**: {row.measure.how}.{reference}{note}"
    return fill(text, _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
