"""The shipped boards as files: what the generator makes, complete, linked, and each replica counted once."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.deploy import tools
from tests.rules.boards import FILES, FOLDER, board, choices, panels, queries, strings, variables
from tests.rules.files import PAGES, ROOT
from tests.rules.test_rules import known, names

NAMES = ("account", "energy", "job", "nodes", "service", "site", "storage", "user", "waste")
each_board = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def test_the_boards_are_what_the_generator_makes(tmp_path: Path) -> None:
    """`PYTHONPATH=… python -m boards`, with the package that pip gets."""
    environment = {**os.environ, "PYTHONPATH": f"{tools.grafana_sdk()}:{ROOT}"}
    command = [sys.executable, "-m", "boards", f"--output={tmp_path}"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=60)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_text() for path in FOLDER.iterdir()}
    assert tuple(path.stem for path in FILES) == NAMES


@each_board
def test_a_board_is_found_by_its_address_and_tag(path: Path) -> None:
    assert board(path)["uid"] == f"hpc-{path.stem}"
    assert board(path)["tags"] == ["hpc-aggregator"]
    assert board(path)["title"].startswith("HPC: ")
    assert board(path)["description"].endswith(".")


@each_board
def test_a_panel_says_what_it_shows_and_in_which_unit(path: Path) -> None:
    titles = [panel["title"] for panel in panels(path)]
    assert len(set(titles)) == len(titles)
    for panel in panels(path):
        assert panel["description"].endswith("."), panel["title"]
        assert panel["targets"], panel["title"]
        assert panel["type"] == "table" or panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        if panel["type"] == "table":
            named = {each["matcher"]["options"] for each in panel["fieldConfig"]["overrides"]}
            columns = panel["transformations"][1]["options"]["renameByName"].values()
            assert {*columns} <= named, panel["title"]


@each_board
def test_panels_lie_beside_and_below_each_other(path: Path) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in board(path)["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells


@each_board
def test_a_board_begins_with_a_row_and_every_panel_asks_the_chosen_prometheus(path: Path) -> None:
    assert board(path)["panels"][0]["type"] == "row"
    assert {panel["datasource"]["uid"] for panel in panels(path)} == {"${datasource}"}
    assert {target["datasource"]["uid"] for panel in panels(path) for target in panel["targets"]} == {"${datasource}"}


@each_board
def test_every_variable_is_used_and_every_one_that_is_used_is_there(path: Path) -> None:
    used = {name for text in strings(board(path)) for name in re.findall(r"\$\{?(\w+)", text)}
    ours = {name for name in used if not name.startswith("__")}
    assert ours == set(variables(path))


@each_board
def test_a_link_leads_to_a_board_with_its_variables_or_to_a_page(path: Path) -> None:
    links = {text for text in strings(board(path)) if text.startswith(("/", "${service}"))}
    there = {f"hpc-{file.stem}": set(variables(file)) for file in FILES}
    for link in links:
        if link.startswith("${service}"):
            # A cell of the row stands for a parameter of the page.
            assert re.sub(r"\$\{__data[^}]*\}", "{}", link.removeprefix("${service}")) in PAGES, link
        else:
            found = re.fullmatch(r"/d/([\w-]+)\?\$\{__url_time_range\}(.*)", link)
            assert found, link
            assert set(re.findall(r"&var-(\w+)=", found[2])) <= there[found[1]], link
        # Names are text of users.
        assert all(text.endswith(":percentencode") for text in re.findall(r"\$\{(__data[^}]*)\}", link)), link


def test_the_columns_that_a_link_names_are_in_its_table() -> None:
    for path in FILES:
        for panel in (panel for panel in panels(path) if panel["type"] == "table"):
            there = set(panel["transformations"][1]["options"]["indexByName"])
            for text in strings(panel["fieldConfig"]):
                assert set(re.findall(r"__data\.fields\.(\w+)", text)) <= there, panel["title"]


@each_board
def test_the_address_of_the_service_is_one_constant(path: Path) -> None:
    """Which a viewer cannot change by a link."""
    constant = variables(path)["service"]
    assert constant["type"] == "constant"
    assert constant["query"] == "https://hpc.example.org/aggregator"


@pytest.mark.parametrize("query", [*queries()], ids=str)
def test_a_query_names_families_that_exist_and_counts_replicas_once(query: Any) -> None:
    assert names(re.sub(r"\$\w+", "1", query.expr)) <= known()
    if query.board != "service":
        once = re.sub(r"(max|min) without \(instance, pod\) \((increase\()?hpc_\w+", "", query.expr)
        assert not re.findall(r"\bhpc_(?!aggregator)\w+", once)


def test_variables_name_families_that_exist() -> None:
    assert {name for _, series, _ in choices() for name in names(series)} <= known()
