"""The command line by the conventions of promtool."""

import argparse
import json
import os
import platform
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import aggregator
from aggregator.app.completion import parsers
from aggregator.cli import _parser, main
from aggregator.client.commands import HELPS, joined
from aggregator.model.accounting import JobState
from aggregator.synthetic import USUAL_RUNNING

ROOT = Path(__file__).resolve().parents[3]


def commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from commands(each)


def test_every_help_has_a_description_and_the_exit_codes() -> None:
    found = list(commands(_parser()))
    assert len(found) >= 21
    for parser in found:
        text = parser.format_help()
        assert parser.description, parser.prog
        assert "exit codes:\n  0  success\n" in text, parser.prog
        assert re.search(r"\n  2  a mistake in the configuration or the flags", text), parser.prog


def test_every_flag_has_a_help_or_choices() -> None:
    for parser in commands(_parser()):
        silent = [action.dest for action in parser._actions if not action.help and not action.choices]
        assert silent in ([], ["web_config"]), parser.prog


def test_every_command_for_people_has_an_example_that_it_takes() -> None:
    for name, each in HELPS.items():
        words = each.example.split(" ")
        assert words[:2] == ["hpc-aggregator", name]
        assert _parser().parse_args(words[1:]).run
        assert "token" not in each.example


def test_the_states_that_are_completed_are_slurms() -> None:
    (state,) = (each for path, each in parsers(_parser()) if path == ("jobs",))
    (offered,) = (each.type.offered for each in state._actions if each.dest == "state")  # type: ignore[union-attr]
    assert {*offered} == {"all", *(each.name.lower() for each in JobState)}


def test_a_field_to_sort_by_may_begin_with_a_dash() -> None:
    assert joined(["jobs", "--sort", "-wasted_gpus", "--json"]) == ["jobs", "--sort=-wasted_gpus", "--json"]
    assert joined(["jobs", "--sort", "--json"]) == ["jobs", "--sort", "--json"]


@pytest.mark.parametrize(
    "flags",
    [["--limit", "0"], ["--limit", "x"], ["--watch", "0.5"], ["--watch", "nan"], ["--json", "--csv"],
     ["--json", "--watch"], ["--nothing"], ["--us", "bob"]],
    ids=" ".join,
)  # fmt: skip
def test_flags_that_cannot_be_are_refused(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["jobs", *flags])
    assert refused.value.code == 2
    assert "usage: " in capsys.readouterr().err


def test_the_version_is_said_as_prometheus_says_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    first, python, where = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        rf"hpc-aggregator, version {re.escape(aggregator.__version__)} \(revision: (unknown|\w+)\)", first
    )
    assert platform.python_version() in python
    assert where.split() == ["platform:", f"{platform.system().lower()}/{platform.machine()}"]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (
            "",
            {
                "serve",
                "check",
                "demo",
                "token",
                "explain",
                "rules",
                "parts",
                "completion",
                "--help",
                "--version",
                "jobs",
                "job",
                "top",
                "waste",
                "nodes",
                "account",
                "user",
                "quota",
                "digest",
            },
        ),
        ("ch", {"check"}),
        ("token ", {"create", "list", "revoke", "--help"}),
        ("token create --e", {"--expires"}),
        ("check --connect --web.l", {"--web.listen-address"}),
        ("completion ", {"bash", "zsh", "--help"}),
        ("serve --nothing", set()),
        ("jobs --state runn", {"running"}),
        ("jobs --user bob --severity ", {"critical", "warning"}),
        ("waste --sort -wasted_g", {"-wasted_gpus", "-wasted_gpu_seconds"}),
        ("waste --sort wasted_gpus", {"wasted_gpus"}),
        ("top --by acc", {"account"}),
        ("quota --of ", {"users", "groups"}),
        ("jobs --json --to", {"--token-file"}),
        ("serve --log.level w", {"warn"}),
    ],
)
def test_bash_completes_commands_and_flags(capsys: pytest.CaptureFixture[str], typed: str, offered: set[str]) -> None:
    assert main(["completion", "bash"]) == 0
    words = ["hpc-aggregator", *typed.split(" ")]
    script = f"{capsys.readouterr().out}\nCOMP_WORDS=({' '.join(map(repr, words))}); COMP_CWORD={len(words) - 1}\n"
    script += "_hpc_aggregator; printf '%s\\n' \"${COMPREPLY[@]-}\"\n"
    done = subprocess.run(["bash", "-u", "-c", script], capture_output=True, text=True, check=False)
    assert (set(done.stdout.split()), done.returncode, done.stderr) == (offered, 0, "")


def test_zsh_uses_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    main(["completion", "bash"])
    bash = capsys.readouterr().out
    main(["completion", "zsh"])
    assert capsys.readouterr().out == f"autoload -U +X bashcompinit && bashcompinit\n{bash}"


def test_rules_are_written_and_what_was_changed_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "not" / "there"
    assert main(["rules", f"--output={folder}"]) == 0
    wanted = {
        file.relative_to(ROOT / "rules"): file.read_text()
        for file in (ROOT / "rules").rglob("*.*")
        if file.suffix in {".yml", ".json"} and file.parent.name != "tests"
    }
    assert {file.relative_to(folder): file.read_text() for file in folder.rglob("*") if file.is_file()} == wanted
    assert len(capsys.readouterr().out.splitlines()) == len(wanted)
    own, old = folder / "alerts" / "own.yml", folder / "alerts" / "hpc-jobs.yml"
    own.write_text("groups: []\n")
    old.write_text("groups: []\n")
    assert main(["rules", f"--output={folder}"]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if "unchanged" not in line] == [f"changed   {old}"]
    assert own.read_text() == "groups: []\n"


def test_the_links_of_the_boards_lead_to_the_service(tmp_path: Path) -> None:
    assert main(["rules", f"--output={tmp_path}", '--url=https://own.example.org/"hpc"/']) == 0
    for file in (tmp_path / "dashboards").iterdir():
        variables = json.loads(file.read_text())["templating"]["list"]
        assert {each["query"] for each in variables if each["name"] == "service"} == {'https://own.example.org/"hpc"'}


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["rules", f"--output={tmp_path}/file"]) == 2
    assert capsys.readouterr().err.startswith(f"--output: cannot write {tmp_path}/file/")
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("jobs", ["0", "-3", "1e3", "900.5", "200001", "²", ""])
def test_a_size_of_the_demo_that_cannot_be_is_refused(jobs: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["demo", f"--jobs={jobs}"])
    assert refused.value.code == 2
    assert f"argument --jobs: must be from 1 to 200000, got {jobs!r}" in capsys.readouterr().err


def test_the_demo_is_of_the_usual_size_unless_told_otherwise() -> None:
    assert _parser().parse_args(["demo"]).jobs == USUAL_RUNNING
    assert _parser().parse_args(["demo", "--jobs", "20000"]).jobs == 20_000
