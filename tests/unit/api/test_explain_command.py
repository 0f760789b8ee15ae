"""`hpc-aggregator explain`: what it prints of an answer, and what it says where there is none."""

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from aggregator.api.explain_representation import Explained
from aggregator.api.tokens.store import TokenStore
from aggregator.app.demo import make_synthetic_site
from aggregator.app.layouts import CLUSTERS
from aggregator.app.lists import lists_of
from aggregator.cli import main
from aggregator.client.explain_text import explanation_text
from aggregator.config import active_rules, load_rules
from aggregator.engine.part import Inputs
from aggregator.model.question import Questions
from aggregator.model.view import ClusterView
from aggregator.parts.waste.observation import observation
from aggregator.parts.waste.rules import compile_rules
from aggregator.synthetic import SyntheticCluster

from .builders import NOW, make_job, publish_jobs
from .conftest import Service
from .people import run as run_command
from .people import unset
from .test_api_explain import publish
from .tokens import make_token

GOLDEN = Path(__file__).parents[2] / "data" / "explain.txt"
RULES = compile_rules(active_rules(load_rules()))


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    unset(monkeypatch, tmp_path / "settings")


async def run(service: Service, *arguments: str, job: str = "101") -> int:
    return await run_command(service, "explain", job, *arguments)


async def demo_view() -> ClusterView:
    """Join the demo as of one moment."""
    sources = make_synthetic_site(SyntheticCluster(running=60, start=NOW), 5.0).clusters["demo"]
    assert sources.use
    accounting, use = await sources.accounting.fetch(NOW), await sources.use.fetch(NOW)
    joined = CLUSTERS.join(Inputs(accounting.runs, accounting.associations, use, RULES), NOW)
    assert not joined.failed
    context = Inputs(RULES, observation(use), Questions({**accounting.questions, **use.questions}))
    return ClusterView("demo", NOW, runs=accounting.runs, frames=joined.frames, context=context)


async def test_the_text_of_a_job_of_the_demo_is_the_golden_one(update_golden: bool) -> None:
    view = await demo_view()
    accused = view.frames["waste"].filter(severity="critical").sort("job_id")["run_id"][0]
    (listed,) = (each.listed for each in lists_of() if each.listed.name == "jobs")
    job = view.frames["jobs"].filter(run_id=accused)
    text = explanation_text(Explained(view, listed, job, None, NOW + 3).json())
    if update_golden:
        GOLDEN.write_text(f"{text}\n")
    assert text.splitlines() == GOLDEN.read_text().splitlines(), "run pytest --update-golden tests/unit/api"


async def test_the_verdict_comes_first_and_what_is_hostile_is_an_escape(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(service, make_job(name="\x1b[2Jgone\n\u202eevil"))
    assert await run(service) == 0
    out = capsys.readouterr().out
    assert out.startswith("Job 101 is accused of holds (critical): it holds a CPU.\n")
    assert "\\x1b[2Jgone\\n\\u202eevil" in out
    assert all(each.isprintable() or each == "\n" for each in out)


async def test_json_is_the_answer_of_the_api(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    publish(service, make_job())
    assert await run(service, "--json") == 0
    assert json.loads(capsys.readouterr().out) == await service.data("/api/v1/clusters/narval/jobs/101/explain")


@pytest.mark.parametrize(
    ("job", "code", "said"),
    [("7", 1, 'job 7: not known on cluster "narval"\n'),
     ("../../status", 2, "job id: must be like 123, 123_4 or 123+1, got '../../status'\n")],
)  # fmt: skip
async def test_what_the_caller_can_change_is_said(
    service: Service, capsys: pytest.CaptureFixture[str], job: str, code: int, said: str
) -> None:
    publish(service, make_job())
    assert (await run(service, job=job), capsys.readouterr().err) == (code, said)


async def test_a_service_without_answer_is_another_exit_code(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_jobs(service.store)
    service.reader.error = TimeoutError()
    assert await run(service) == 3
    assert capsys.readouterr().err.endswith(" answers 504: the answer took too long\n")
    assert main(["explain", "1", "--url=http://127.0.0.1:1"]) == 3
    assert "http://127.0.0.1:1 does not answer: " in capsys.readouterr().err


async def test_a_token_is_needed_and_shown_to_the_service_alone(
    idle_service: Service, aiohttp_client: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, own = tmp_path / "tokens.yml", tmp_path / "token"
    own.write_text(make_token(file, "alice000", "read:own", user="alice") + "\n")
    app = idle_service.app(tokens=TokenStore(file), open_areas=frozenset())
    idle_service.client = await aiohttp_client(app)
    publish(idle_service, make_job())
    own.chmod(0o600)
    assert await run(idle_service) == 1
    assert capsys.readouterr().err.startswith("an identity is needed")
    assert await run(idle_service, f"--token-file={own}") == 0
    own.write_text("two\nlines")
    assert await run(idle_service, f"--token-file={own}") == 2
    assert "must hold one token in one line" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "said"),
    [*((url, "--url: must be like") for url in ("ftp://h", "127.0.0.1:9850", "http://h:x", "http://", "http://[",
     "http://a b", "http://a/\n")),
     ("http://u:secret@h", "--url: must have no user")],
)  # fmt: skip
def test_a_wrong_url_is_named_without_its_password(url: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "1", f"--url={url}"]) == 2
    err = capsys.readouterr().err
    assert err.startswith(said)
    assert "secret" not in err


@pytest.mark.parametrize(
    ("answer", "code"),
    [(web.Response(status=302, headers={"Location": "http://elsewhere.example.org/"}), 2),
     (web.Response(text="<html>"), 2), (web.json_response([1], status=500), 3)],
)  # fmt: skip
async def test_what_is_no_such_service_is_said_and_no_redirection_followed(
    aiohttp_client: Any, capsys: pytest.CaptureFixture[str], answer: web.Response, code: int, service: Service
) -> None:
    async def handle(_: web.Request) -> web.Response:
        return web.Response(status=answer.status, text=answer.text, headers=answer.headers)

    app = web.Application()
    app.router.add_get("/{tail:.*}", handle)
    service.client = await aiohttp_client(app)
    assert await run(service) == code
    assert "is not hpc-aggregator: it answers" in capsys.readouterr().err
