"""docs/portal.md, written from the catalogue of what the portal asks."""

from collections.abc import Iterable, Iterator
from typing import Final

from tests.catalogue import ENTRIES, Entry
from tests.catalogue.databases import ROBINHOOD, SLURMACCT, Page

# How many queries each page of the portal has, by the letters of their ids.
COUNTS: Final = {
    "JS": 9, "JC": 7, "JG": 6, "JL": 2, "JN": 2, "JD": 3, "JP": 6, "JW": 2, "US": 12, "AC": 18, "SL": 1, "TP": 14,
    "ND": 27, "CS": 21, "QL": 2, "QG": 3, "PG": 19,
}  # fmt: skip
_PAGES: Final = {
    "JS": "Job: summary", "JC": "Job: CPU, memory, threads", "JG": "Job: GPUs", "JL": "Job: Lustre",
    "JN": "Job: network of its nodes", "JD": "Job: disks of its nodes", "JP": "Job: Intel PCM", "JW": "Job: power",
    "US": "User", "AC": "Account", "SL": "Staff: statistics of Slurm", "TP": "Staff: the largest", "ND": "Nodes",
    "CS": "Cloud", "QL": "Quotas of Lustre", "QG": "Quotas of GPFS", "PG": "Public pages",
}  # fmt: skip
_HEAD = """# From a portal to this API

This page is generated from the tests (`pytest tests/contract --update-golden` writes it anew; a test compares them).

What the pages of the job portal [TrailblazingTurtle](https://github.com/guilbaults/TrailblazingTurtle) ask of
Prometheus, and where the same is had here. `$F` stands for the site's matchers; `$window` is at least four scrapes
where the portal has a window of its own, which holds two samples at most. Values are in base units: bytes, watts,
ratios, bytes per second. `tests/lab_tests/test_catalogue.py` asks both of one Prometheus, where they agree within
rounding (or as is said), but for those that say "differs". A remark says where the two part on other data, such as a
node with odd devices. While a counter was not observed as a whole the portal's rates fall; ours are then the slopes of
the samples that there are, and where there are none there is no point. Numbers in parentheses are those of
[pitfalls](#pitfalls).

What the portal's pages ask of slurmacct and of Robinhood is [in SQL](#from-slurmacct) and has no numbers.
"""
# Those that entries name, by the numbers that they have in our notes on the exporters.
PITFALLS: Final = {
    4: "Units by their names: what is shown is GiB and what is called GB, W and kW are not mixed.",
    7: "One exporter's port is not a name of its host, nor is one exporter the only one of its kind.",
    10: "A MIG slice repeats the power of its whole board.",
    20: "The CPU time of an executable falls when a process ends.",
    22: "A window that holds two scrapes has a hole at each one that is missed.",
    23: "A count of series is no allocation: there are none without a process or while an exporter is down, none of"
    " cores on cgroup v2 before 0.4.8, and those of the whole node where cores are not constrained.",
    25: "A job's peak is absent on old kernels, and has page cache in it.",
    26: "A mean times a duration is no energy where samples are missing.",
    27: "A BMC's average lags, and is 0 where it is not filled; nodes are not shared by CPUs alone.",
    32: "No data is not zero.",
    37: "A list of jobs in a regular expression grows without bound.",
    41: "Constants of one site: sizes and powers of GPUs by model, 300 W, three links, device names.",
    42: "Slips of the portal that are not repeated.",
}


def portal_page() -> str:
    """Write the whole page."""
    tables = [line for letters in COUNTS for line in _table(letters)]
    tables += [*_of_database("From slurmacct", SLURMACCT), *_of_database("From Robinhood", ROBINHOOD)]
    pitfalls = (f"{number}. {text}" for number, text in PITFALLS.items())
    return "\n".join((_HEAD, *tables, "## Pitfalls\n", *(f"- {each}" for each in pitfalls))).rstrip() + "\n"


def missing_ids(entries: Iterable[Entry]) -> list[str]:
    """List the queries of the portal that have no entry."""
    known = {entry.id for entry in entries}
    every = (f"{letters}{number}" for letters, count in COUNTS.items() for number in range(1, count + 1))
    return [each for each in every if each not in known]


def _table(letters: str) -> Iterator[str]:
    entries = sorted((each for each in ENTRIES if each.id.rstrip("0123456789") == letters), key=_number)
    if not entries:
        return
    yield f"## {_PAGES[letters]}\n"
    yield "| | the portal asks | here | |\n|---|---|---|---|"
    yield from dict.fromkeys(map(_row, entries))
    yield ""


def _of_database(title: str, pages: Iterable[Page]) -> Iterator[str]:
    yield f"## {title}\n"
    yield "| the portal's page | what it reads | here | |\n|---|---|---|---|"
    for each in pages:
        here = f"`{each.route.removeprefix('/api/v1/')}`" + (f": {each.fields}" if each.fields else "")
        yield f"| {each.page} | {each.reads} | {here} | {each.remark} |"
    yield ""


def _number(entry: Entry) -> int:
    return int(entry.id.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))


def _row(entry: Entry) -> str:
    path = entry.path.replace("clusters/lab/", "clusters/$CLUSTER/")
    asked = entry.portal.replace("|", "\\|").replace("$$", "$")
    remarks = [f"differs: {entry.differs}"] if entry.differs else [*_closeness(entry), entry.note, entry.picks]
    return f"| {entry.id} | `{asked}` | `{path}`: {entry.metric}{_only(entry)} | {' '.join(filter(None, remarks))} |"


def _only(entry: Entry) -> str:
    return "".join(f", {label} {value}" for label, value in entry.only.items())


def _closeness(entry: Entry) -> Iterator[str]:
    if entry.tolerance > 1e-6:
        yield f"Within {entry.tolerance:.0%}, as the two are of different moments."
