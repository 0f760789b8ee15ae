"""The commands for people: hostile names, tokens, clusters, pages, and what is said where there is no answer."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from aggregator.api.tokens.store import TokenStore
from aggregator.app.layouts import CLUSTERS
from aggregator.client import lists
from aggregator.client.errors import Unreachable
from aggregator.client.screen import Screen
from aggregator.model.view import ClusterView

from .builders import NOW, make_job, make_status, publish_jobs
from .conftest import Service
from .people import run, unset
from .test_api_explain import RULE
from .tokens import make_token

HOSTILE = "\x1b[2J\x1b]0;owned\x07a\nb\u202ec\x9bd[red]:smile:"
SHOWN_HOSTILE = "\\x1b[2J\\x1b]0;owned\\x07a\\nb\\u202ec\\x9bd[red]:smile:"
LISTS = (("jobs",), ("jobs", "--fields=id,job_name,user"), ("waste",), ("top",), ("nodes",))
COMMANDS = (*LISTS, ("job", "101"), ("explain", "101"), ("account", "phys"), ("user", "alice"), ("quota",), ("digest",))


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    unset(monkeypatch, tmp_path / "settings")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: each[0])
@pytest.mark.parametrize("form", [(), ("--json",)], ids=("drawn", "json"))
async def test_names_cannot_command_the_terminal(
    service: Service, capsys: pytest.CaptureFixture[str], command: tuple[str, ...], form: tuple[str, ...]
) -> None:
    job = make_job(name=HOSTILE, user=HOSTILE, account=HOSTILE, partition=HOSTILE)
    publish_jobs(service.store, job, rules=[RULE])
    await run(service, *command, *form)
    shown = capsys.readouterr()
    for text in (shown.out, shown.err):
        assert [each for each in text if not (each.isprintable() or each == "\n")] == []


async def test_a_hostile_name_is_shown_as_escapes_and_no_markup_of_it_is_drawn(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_jobs(service.store, make_job(name=HOSTILE), rules=[RULE])
    assert await run(service, "job", "101") == 0
    assert f"Job 101  {SHOWN_HOSTILE}\n" in capsys.readouterr().out
    assert await run(service, "jobs", "--fields=id,job_name") == 0
    assert capsys.readouterr().out.splitlines()[1] == f"101 {SHOWN_HOSTILE}"


async def test_csv_on_a_terminal_cannot_command_it_and_in_a_pipe_is_the_apis(
    service: Service, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_jobs(service.store, make_job(name=HOSTILE, user="zoé"))
    path = "/api/v1/clusters/narval/jobs?state=running&fields=user,job_name&format=csv"
    assert await run(service, "jobs", "--csv", "--fields=user,job_name") == 0
    assert capsysbinary.readouterr().out == await (await service.get(path)).read()
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert await run(service, "jobs", "--csv", "--fields=user,job_name") == 0
    text = capsysbinary.readouterr().out.decode()
    assert text.startswith("user,job_name\nzoé,")
    assert [each for each in text if not (each.isprintable() or each == "\n")] == []


@pytest.fixture
async def guarded(idle_service: Service, aiohttp_client: Any, tmp_path: Path) -> tuple[Service, str]:
    """The API to those with a token, and alice's."""
    file = tmp_path / "tokens.yml"
    token = make_token(file, "alice000", "read:own", user="alice")
    idle_service.client = await aiohttp_client(idle_service.app(tokens=TokenStore(file), open_areas=frozenset()))
    publish_jobs(idle_service.store, make_job(101, user="alice"), make_job(102, user="bob"), rules=[RULE])
    return idle_service, token


def keep(token: str, folder: Path, mode: int = 0o600) -> Path:
    file = folder / "token"
    file.touch(mode=0o600)
    file.write_text(f"{token}\n")
    file.chmod(mode)
    return file


async def test_without_a_token_nothing_is_shown_and_with_it_what_is_ones_own(
    guarded: tuple[Service, str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    service, token = guarded
    assert await run(service, "jobs") == 1
    assert capsys.readouterr().err.startswith("an identity is needed")
    file = keep(token, tmp_path)
    assert await run(service, "jobs", f"--token-file={file}") == 0
    out = capsys.readouterr().out
    assert ("101" in out, "102" in out) == (True, False)
    assert await run(service, "job", "102", f"--token-file={file}") == 1
    assert capsys.readouterr().err == 'job 102: not known on cluster "narval"\n'
    assert await run(service, "user", "bob", f"--token-file={file}") == 1


async def test_the_user_is_whom_the_token_names(
    guarded: tuple[Service, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    service, token = guarded
    monkeypatch.setenv("HPC_AGGREGATOR_TOKEN", token)
    assert await run(service, "user") == 0
    assert capsys.readouterr().out.startswith("User alice\n")
    assert await run(service, "digest") == 0
    assert capsys.readouterr().out.startswith("alice on narval, the last 7 days\n")


@pytest.mark.parametrize("command", [*COMMANDS, ("job", "102"), ("jobs", "--filter=no=1")], ids=" ".join)
async def test_no_output_has_the_token(
    guarded: tuple[Service, str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    command: tuple[str, ...],
) -> None:  # fmt: skip
    service, token = guarded
    monkeypatch.setenv("HPC_AGGREGATOR_TOKEN", token)
    wrong = keep(token[:-1] + "x", tmp_path)
    for flags in ((), ("--json",), (f"--token-file={wrong}",), ("--timeout=nan",)):
        await run(service, *command, *flags)
    shown = capfd.readouterr()
    assert token[:-1] not in shown.out + shown.err


async def test_a_file_that_others_can_read_is_refused(
    guarded: tuple[Service, str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    service, token = guarded
    file = keep(token, tmp_path, 0o640)
    assert await run(service, "jobs", f"--token-file={file}") == 2
    assert capsys.readouterr().err == f"--token-file: others can read {file}: chmod 600 {file}\n"


async def test_one_of_several_clusters_must_be_named(
    service: Service, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_jobs(service.store, make_job())
    service.store.publish_cluster(ClusterView("beluga", NOW, frames=CLUSTERS.empty()))
    service.store.publish_source(make_status(scope="beluga"))
    assert await run(service, "jobs") == 2
    assert capsys.readouterr().err == "--cluster: which one? This service has: beluga, narval\n"
    assert await run(service, "jobs", "--cluster=narval") == 0
    monkeypatch.setenv("SLURM_CLUSTER_NAME", "narval")
    assert await run(service, "jobs") == 0
    assert capsys.readouterr().out.count("1 row of running jobs\n") == 2
    monkeypatch.setenv("HPC_AGGREGATOR_CLUSTER", "beluga")
    assert await run(service, "jobs") == 0
    assert capsys.readouterr().out == "0 rows of running jobs\n"


async def test_slurms_name_of_another_cluster_is_not_taken(
    service: Service, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_jobs(service.store, make_job())
    monkeypatch.setenv("SLURM_CLUSTER_NAME", "elsewhere")
    assert await run(service, "jobs") == 0
    assert "1 row" in capsys.readouterr().out


async def test_pages_are_followed_up_to_the_limit(
    service: Service, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_jobs(service.store, *(make_job(number) for number in range(101, 108)))
    monkeypatch.setattr(lists, "MOST_OF_A_PAGE", 2)
    for limit, found in ((1, 1), (2, 2), (5, 5), (7, 7), (9, 7)):
        assert await run(service, "jobs", "--json", "--fields=job_id", "--sort=job_id", f"--limit={limit}") == 0
        data = json.loads(capsys.readouterr().out)
        assert [each["job_id"] for each in data["jobs"]] == list(range(101, 101 + found))
        assert (data["total"], data["next_cursor"] is None) == (7, found == 7)
    assert await run(service, "jobs", "--limit=5") == 0
    assert "5 of 7 rows of running jobs; --limit N shows more" in capsys.readouterr().out


async def test_what_is_not_known_is_a_dash(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    publish_jobs(service.store, make_job(use={}))
    assert await run(service, "jobs", "--fields=used_cpus,wasted_cpus,wasted_cpu_seconds,memory_peak_bytes") == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["–"] * 4
    assert await run(service, "job", "101") == 0
    out = capsys.readouterr().out
    assert "Wasted so far: – GPU-hours" in out
    assert "CPUs                             –  – of 4 busy on average" in out


async def test_what_is_missing_from_an_answer_is_said_on_stderr(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_jobs(service.store, make_job())
    service.reader.error = TimeoutError()
    assert await run(service, "job", "101") == 3
    assert capsys.readouterr().err.endswith(" answers 504: the answer took too long\n")


async def test_watching_goes_on_while_the_service_is_away(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    rounds: list[str] = []

    def draw(on: Screen) -> tuple[str, ...]:
        rounds.append("")
        if len(rounds) == 2:
            raise Unreachable("it does not answer")
        on.print([f"round {len(rounds)}"])
        return ("late\x1b",) if len(rounds) == 3 else ()

    def pause(seconds: float) -> None:
        assert seconds == 7.0
        if len(rounds) == 3:
            raise KeyboardInterrupt

    Screen(sys.stdout, {"PYTHONUTF8": "1"}).watch(draw, 7.0, pause)
    assert capsys.readouterr().out == "round 1\nit does not answer\nround 3\nwarning: late\\x1b\n"
