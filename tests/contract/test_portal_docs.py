"""docs/portal.md says where each of the portal's queries has its answer."""

import re
from pathlib import Path
from string import Template

import pytest

from aggregator.sources.prometheus.catalogue import GRAPHS
from tests.catalogue import ENTRIES, Entry
from tests.catalogue.databases import ROBINHOOD, SLURMACCT, Page
from tests.contract.portal_page import COUNTS, PITFALLS, missing_ids

PAGE = Path(__file__).parents[2] / "docs" / "portal.md"
_PLACEHOLDERS = "JOB JOBS USER USERS ACCT ACCTS TOP INST NODE NODES HOSTS LOGIN HL SCRATCH DEV FS PROJ UUID F window"
NAMES = dict.fromkeys(_PLACEHOLDERS.split(), "x")


def test_each_of_the_portals_queries_has_an_entry() -> None:
    assert sum(COUNTS.values()) == 154
    assert missing_ids(ENTRIES) == []
    assert {entry.id.rstrip("0123456789") for entry in ENTRIES} <= COUNTS.keys()


def test_what_is_still_missing_would_be_seen() -> None:
    assert "JC1" in missing_ids(entry for entry in ENTRIES if entry.id != "JC1")


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.id}-{entry.metric}")
def test_an_entry_explains_itself(entry: Entry) -> None:
    """Its pitfalls are on the page, its placeholders are known, and it says why it differs or how it is compared."""
    text = f"{entry.note} {entry.picks} {entry.differs}"
    numbers = {int(number) for found in re.findall(r"\((\d+(?:, \d+)*)\)", text) for number in found.split(", ")}
    assert numbers <= PITFALLS.keys()
    assert not (entry.differs and (entry.note or entry.picks or entry.read))
    if not entry.differs:
        Template(entry.portal).substitute(NAMES | {"": ""})


@pytest.mark.parametrize(
    "entry", [each for each in ENTRIES if "/series" in each.path and each.read is None], ids=lambda entry: entry.id
)
def test_a_graph_that_is_named_is_there(entry: Entry) -> None:
    assert entry.metric in {graph.name for graphs in GRAPHS.values() for graph in graphs}


@pytest.mark.parametrize("page", [*SLURMACCT, *ROBINHOOD], ids=lambda page: page.page)
def test_what_is_read_from_a_database_is_at_a_route_and_in_a_field_that_there_are(page: Page) -> None:
    api = "".join((PAGE.parent / name).read_text() for name in ("api-reference.md", "jobs.md"))
    assert f"### `GET {page.route}`" in api
    for field in re.findall(r"`(?:[a-z_]+\.)?([a-z_]+)`", page.fields):
        assert f"`{field}`" in api, field


# What of nodes the two part on, though they agree on the lab's, whose devices and mounts are plain ones.
ODD = {
    "JN1": "bonds", "ND21": "bonds", "JD1": "partitions", "JD2": "partitions", "ND23": "partitions",
    "ND24": "partitions", "ND13": "in memory", "ND3": "iowait", "PG8": "bond",
}  # fmt: skip


@pytest.mark.parametrize(("number", "word"), ODD.items())
def test_where_an_odd_node_differs_is_said(number: str, word: str) -> None:
    entries = [entry for entry in ENTRIES if entry.id == number]
    assert entries
    assert all(word in entry.note for entry in entries)
