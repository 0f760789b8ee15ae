"""Who may see what: the rules as pure functions, and the answers that they lead to."""

import logging
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from aiohttp.test_utils import TestClient
from hypothesis import given
from hypothesis import strategies as st

from aggregator.api.access import HEALTH
from aggregator.api.identity import OPEN, Identity
from aggregator.api.tokens.store import TokenStore
from aggregator.api.visibility import Rights, Rules, is_staff, rights_of, with_children
from aggregator.model.view import ClusterView, Snapshot
from tests.accounts import make_frames, make_tree
from tests.spaces import Space, make_filesystem

from .builders import FETCH_ERROR, JOBS, NOW, make_job, make_run, make_status, publish_jobs, publish_space
from .conftest import Service
from .tokens import bearer, make_token

TREE = {"root": "", "def-kim": "root", "rrg-kim": "root", "rrg-kim_gpu": "rrg-kim"}
MEMBERS = {"alice": frozenset({"def-kim"}), "bob": frozenset({"ops"})}
VIEW = ClusterView("narval", NOW, frames=make_frames(make_tree(TREE, MEMBERS)))
RULES = Rules()


def identity(*scopes: str, user: str | None = None, staff: bool = False) -> Identity:
    return Identity(kind="token", name="n", user=user, scopes=frozenset(scopes), staff=staff)


def sees(rights: Rights, user: str, account: str = "other") -> bool:
    """Tell whether a run is shown, which a run and a row say alike."""
    rows = pl.DataFrame({"user": [user], "account": [account]})
    is_shown = rights.sees_run(make_run(user=user, account=account))
    assert rows.filter(rights.seen).height == is_shown
    return is_shown


def test_a_user_sees_own_runs_under_any_account_and_no_others() -> None:
    rights = rights_of(identity("read:own", user="alice"), RULES, VIEW)
    assert sees(rights, "alice")
    assert not sees(rights, "bob", "def-kim")
    assert not sees(rights, "Alice")
    assert not sees(rights, "")


def test_a_member_sees_the_accounts_sums_and_members_runs_only_where_the_site_says_so() -> None:
    alice = identity("read:own", user="alice")
    strict, open_ = rights_of(alice, RULES, VIEW), rights_of(alice, Rules(members_see_members=True), VIEW)
    assert [rights.sees_sums("def-kim") for rights in (strict, open_)] == [True, True]
    assert [rights.sees_sums("rrg-kim") for rights in (strict, open_)] == [False, False]
    assert [rights.sees_sums("x", "alice") for rights in (strict, open_)] == [True, True]
    assert [rights.sees_sums("def-kim", "bob") for rights in (strict, open_)] == [False, True]
    assert [sees(rights, "bob", "def-kim") for rights in (strict, open_)] == [False, True]
    assert not open_.sees_script(make_run(user="bob", account="def-kim")), "a colleague's script may hold secrets"


def test_an_account_token_sees_the_account_and_those_below_it() -> None:
    rights = rights_of(identity("read:account:rrg-kim"), RULES, VIEW)
    assert sees(rights, "anybody", "rrg-kim")
    assert sees(rights, "anybody", "rrg-kim_gpu")
    assert not sees(rights, "anybody", "def-kim")
    assert not sees(rights, "anybody", "root")
    assert rights.sees_sums("rrg-kim_gpu", "anybody")
    assert not rights.sees_script(make_run(account="rrg-kim"))


def test_staff_see_everything() -> None:
    for who in (identity("read:all", staff=True), OPEN):
        rights = rights_of(who, RULES, VIEW)
        assert sees(rights, "anybody")
        assert rights.sees_script(make_run())
        assert rights.sees_sums("x", "y")
        assert rights.groups_of(make_filesystem(Space("a")))["group"].to_list() == ["a"]


def test_a_scope_that_does_not_let_read_sees_nothing_even_of_its_user() -> None:
    assert not sees(rights_of(identity("ingest:narval", user="alice"), RULES, VIEW), "alice")


def test_users_of_the_list_and_members_of_staff_accounts_are_staff() -> None:
    rules = Rules(staff_users=frozenset({"carol"}), staff_accounts=frozenset({"ops"}))
    snapshot = Snapshot(clusters={"narval": VIEW})
    named = {user: is_staff(identity("read:own", user=user), rules, snapshot) for user in ("alice", "bob", "carol")}
    assert named == {"alice": False, "bob": True, "carol": True}
    assert not is_staff(identity("ingest:narval", user="carol"), rules, snapshot), "the scopes are a limit"
    assert not is_staff(identity("metrics"), rules, snapshot)
    assert not is_staff(identity("read:own", user="bob"), rules, Snapshot()), "no data is no membership"


@given(st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("abcdef")), st.frozensets(st.sampled_from("abcdef")))
def test_a_tree_of_any_shape_ends_and_never_loses_what_was_asked_for(
    parents: dict[str, str], asked: frozenset[str]
) -> None:
    found = with_children(asked, ClusterView("narval", NOW, frames=make_frames(make_tree(parents))))
    assert asked <= found
    assert all(parents[name] in found for name in found - asked)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.yml"


async def test_lists_leave_out_what_is_not_to_be_seen_page_by_page(alice: Service) -> None:
    publish_jobs(alice.store, *(make_job(n, user="alice" if n % 3 == 0 else "bob") for n in range(1, 20)))
    first = await alice.data(f"{JOBS}?limit=4")
    second = await alice.data(f"{JOBS}?limit=4&cursor={first['next_cursor']}")
    assert [job["job_id"] for job in first["jobs"] + second["jobs"]] == [18, 15, 12, 9, 6, 3]
    assert second["next_cursor"] is None
    assert (await alice.data(f"{JOBS}?user=bob"))["jobs"] == []


@pytest.mark.parametrize("failure", [None, FETCH_ERROR], ids=["up", "down"])
@pytest.mark.parametrize("path", ["", "/script"])
async def test_anothers_job_is_as_one_that_does_not_exist(alice: Service, path: str, failure: Exception | None) -> None:
    """In every byte of the answer, live or ended, and while slurmacct is down."""
    publish_jobs(alice.store, make_job(101, user="bob"))
    alice.reader.runs = (make_run(102, user="bob", end=NOW - 50),)
    alice.reader.error = failure
    answers = []
    for job_id in (101, 102, 103):
        answer = await alice.get(f"{JOBS}/{job_id}{path}")
        headers = {name: value for name, value in answer.headers.items() if name != "Date"}
        answers.append((answer.status, (await answer.text()).replace(str(job_id), "N"), headers))
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0] == (503 if failure else 404)


async def test_of_a_reused_id_a_user_sees_the_own_runs_only(alice: Service) -> None:
    alice.reader.runs = (make_run(7, run_id=1, submit=NOW - 9e6, end=NOW - 8e6),)
    publish_jobs(alice.store, make_job(7, run_id=2, user="bob"))
    assert [run["user"] for run in (await alice.data(f"{JOBS}/7"))["runs"]] == ["alice"]


async def test_members_see_members_jobs_where_the_site_says_so(
    idle_service: Service, aiohttp_client: Any, file: Path
) -> None:
    token = make_token(file, "alice000", "read:own", user="alice")
    app = idle_service.app(
        open_areas=frozenset({HEALTH}), tokens=TokenStore(file), rules=Rules(members_see_members=True)
    )
    idle_service.client = await aiohttp_client(app, headers=bearer(token))
    publish_jobs(
        idle_service.store,
        make_job(1, user="bob", account="def-kim"),
        make_job(2, user="bob", account="other"),
        members={"alice": frozenset({"def-kim"})},
    )
    assert [job["job_id"] for job in (await idle_service.data(JOBS))["jobs"]] == [1]


async def test_a_user_sees_own_rows_of_storage_and_the_groups_that_have_them(alice: Service) -> None:
    rows = [("def-kim", "alice"), ("def-kim", "bob"), ("def-lee", "bob"), ("def-zed", "alice")]
    publish_space(
        alice.store,
        *(Space(group, used_bytes={"disk": 10}) for group in ("def-kim", "def-lee", "def-zed")),
        users=tuple(Space(group, user, used_bytes={"disk": 5}) for group, user in rows),
    )
    project = "/api/v1/storage/project"
    groups, users = (await alice.data(f"{project}/groups"))["groups"], (await alice.data(f"{project}/users"))["users"]
    assert [group["group"] for group in groups] == ["def-kim", "def-zed"]
    assert [(row["group"], row["user"]) for row in users] == [("def-kim", "alice"), ("def-zed", "alice")]
    assert (await alice.data(project))["disk_used_bytes"] == 30
    assert (await alice.data(f"{project}/groups?group=def-lee"))["groups"] == []


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "aggregator.audit"]


async def test_a_look_at_others_data_is_logged_and_one_at_the_own_is_not(
    idle_service: Service, aiohttp_client: Any, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    staff, own = make_token(file, "staff000", "read:all"), make_token(file, "alice000", "read:own", user="alice")
    client: TestClient[Any, Any] = await aiohttp_client(idle_service.app(tokens=TokenStore(file)))
    publish_jobs(idle_service.store, make_job(101), make_job(102, user='b"\nob'))
    for path in (JOBS, f"{JOBS}/101"):
        assert (await client.get(path, headers=bearer(own))).status == 200
        assert (await client.get(path)).status == 200
    assert lines(caplog) == [], "nobody is known on an open address"

    assert (await client.get(f"{JOBS}/102", headers=bearer(staff))).status == 200
    assert lines(caplog) == [rf"""read: who='token staff000 (n-staff000)' path='{JOBS}/102' whose=['b"\nob']"""]


async def test_a_long_list_of_others_is_one_short_line(
    idle_service: Service, aiohttp_client: Any, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    staff = make_token(file, "staff000", "read:all")
    client: TestClient[Any, Any] = await aiohttp_client(idle_service.app(tokens=TokenStore(file)))
    publish_jobs(idle_service.store, *(make_job(n, user=f"u{n:03d}") for n in range(1, 51)))
    assert (await client.get(JOBS, headers=bearer(staff))).status == 200
    (line,) = lines(caplog)
    assert line.endswith("'u010'] and 40 more")


async def test_the_status_tells_staff_of_a_broken_token_file(
    idle_service: Service, aiohttp_client: Any, file: Path
) -> None:
    idle_service.store.publish_source(make_status())
    file.write_text("- id: x\n")
    idle_service.client = await aiohttp_client(idle_service.app(tokens=TokenStore(file)))
    tokens = (await idle_service.data("/api/v1/status"))["tokens"]
    assert tokens["active"] == 0
    assert tokens["error"].startswith(f"auth.tokens.file: {file}:1: [0].id: must be ")
