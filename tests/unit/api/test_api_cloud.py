"""Projects and instances of clouds: what they show, to whom, and over time."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from aggregator.api.access import HEALTH
from aggregator.api.tokens.store import TokenStore
from aggregator.app.layouts import CLOUDS
from aggregator.engine.view import View
from aggregator.model.series import Line, Subject
from tests.clouds import IDLE, Instance, join_cloud, make_cloud_use, make_instance

from .builders import NOW, FakeSeries, make_status, publish_jobs
from .conftest import Service
from .tokens import bearer, make_token

PROJECTS = "/api/v1/cloud/projects"
CLOUD, INSTANCES_PATH = "/api/v1/cloud", "/api/v1/cloud/instances"
DEV = f"{PROJECTS}/def-kim-dev"
HOSTILE = 'it"s/a \\ 🦙\n'
MEMBERS = {"def-kim-dev": frozenset({"alice", "bob"}), HOSTILE: frozenset({"carol"})}


def publish_cloud(
    service: Service, *instances: Instance, cloud: str = "arbutus", down: bool = False, **status: Any
) -> None:
    hypervisors = {"hv01": True, "hv02": not down}
    use = make_cloud_use(*instances, time=NOW - 10, hypervisors=hypervisors)
    members = {name: users for name, users in MEMBERS.items() if any(each["project"] == name for each in instances)}
    service.store.publish_cloud(join_cloud(use, members, cloud))
    service.store.publish_source(make_status("cloud", cloud, **status))


INSTANCES = (
    make_instance(uuid="u1"), make_instance(uuid="u2", user="bob", **IDLE),
    make_instance(uuid="u3", project=HOSTILE, instance_name=HOSTILE, user="carol"),
)  # fmt: skip


async def serve(idle: Service, aiohttp_client: Any, **settings: Any) -> FakeSeries:
    publish_cloud(idle, *INSTANCES)
    lines = FakeSeries(lines=(Line({"project_name": "def-kim-dev", "uuid": "u1"}, ((NOW, 1.0),)),))
    idle.graphs = {"cloud/arbutus": lines}
    idle.client = await aiohttp_client(idle.app(**settings))
    return lines


@pytest.fixture
async def lines(idle_service: Service, aiohttp_client: Any) -> FakeSeries:
    return await serve(idle_service, aiohttp_client)


@pytest.mark.usefixtures("lines")
async def test_a_project_shows_what_its_instances_add_up_to(idle_service: Service) -> None:
    data = await idle_service.data(DEV)
    assert (data["cloud"], data["project"], data["instances"]) == ("arbutus", "def-kim-dev", 2)
    assert (data["vcpus"], data["used_cpus"], data["coverage"]["memory"]) == (4.0, 1.0, 1.0)
    assert (data["idle_instances"], data["judged"], data["idle_vcpus"], data["idle_memory_bytes"]) == (
        1, 2, 2.0, 4.0 * 2**30,
    )  # fmt: skip


@pytest.mark.usefixtures("lines")
async def test_projects_come_by_name_page_by_page_with_their_clouds(idle_service: Service) -> None:
    first = await idle_service.data(f"{PROJECTS}?limit=1")
    second = await idle_service.data(f"{PROJECTS}?limit=1&cursor={first['next_cursor']}")
    assert [each["project"] for page in (first, second) for each in page["projects"]] == ["def-kim-dev", HOSTILE]
    assert second["next_cursor"] is None
    (cloud,) = (await idle_service.data(CLOUD))["clouds"]
    assert (cloud["hypervisors"], cloud["vcpus"]) == (2, 6.0)
    assert cloud["rule_duration_seconds"] == 86_400.0
    assert [each["project"] for each in (await idle_service.data(f"{PROJECTS}?project=def-kim-dev"))["projects"]] == [
        "def-kim-dev"
    ]


@pytest.mark.usefixtures("lines")
async def test_an_instance_says_why_it_idles_or_not(idle_service: Service) -> None:
    data = await idle_service.data(f"{INSTANCES_PATH}?project=def-kim-dev")
    assert [(each["uuid"], each["idle"], each["idle_because"]) for each in data["instances"]] == [
        ("u1", False, "it uses its CPUs"), ("u2", True, None),
    ]  # fmt: skip
    one, (_, listed) = await idle_service.data(f"{INSTANCES_PATH}/u2"), data["instances"]
    for each in (one, listed):
        assert (each["hypervisor"], each["flavor"], each["network_receive_bytes_per_second"]) == (
            "hv01",
            "p2-4gb",
            30.0,
        )


@pytest.mark.usefixtures("lines")
@pytest.mark.parametrize(("query", "uuids"), [("idle=true", ["u2"]), ("idle=false", ["u1"]), ("user=bob", ["u2"])])
async def test_instances_can_be_chosen(idle_service: Service, query: str, uuids: list[str]) -> None:
    data = await idle_service.data(f"{INSTANCES_PATH}?project=def-kim-dev&{query}")
    assert [each["uuid"] for each in data["instances"]] == uuids


@pytest.mark.usefixtures("lines")
async def test_a_hostile_name_is_a_name(idle_service: Service) -> None:
    path = f"{PROJECTS}/{quote(HOSTILE, safe='')}"
    assert (await idle_service.data(path))["project"] == HOSTILE
    (instance,) = (await idle_service.data(f"{INSTANCES_PATH}?project={quote(HOSTILE, safe='')}"))["instances"]
    assert instance["instance_name"] == HOSTILE


async def test_graphs_are_of_the_project_and_of_the_instance_in_it(idle_service: Service, lines: FakeSeries) -> None:
    await idle_service.data(f"{DEV}/series?metric=cpu")
    await idle_service.data(f"{INSTANCES_PATH}/u1/series?metric=cpu&start=now-1h")
    await idle_service.data(f"{INSTANCES_PATH}/gone/series?metric=cpu&project=def-kim-dev")
    await idle_service.data("/api/v1/cloud/series?metric=cpu")
    project, instance, gone, whole = (subject for _, subject, _ in lines.read_of)
    assert project == Subject(labels=(("project_name", "def-kim-dev"),))
    assert instance == Subject(labels=(("project_name", "def-kim-dev"), ("uuid", "u1")))
    assert gone.labels[0] == ("project_name", "def-kim-dev"), "also of an instance that has gone, but of this project"
    assert whole == Subject()
    assert [span.points for _, _, span in lines.read_of][:2] == [336, 120], "a week, unless said otherwise"
    assert {each["metric"] for each in (await idle_service.data(f"{DEV}/series"))["metrics"]} == {"cpu"}


@pytest.mark.usefixtures("lines")
@pytest.mark.parametrize(
    ("path", "error"),
    [
        (f"{PROJECTS}/nobody", (404, "not_found", 'project "nobody": not known')),
        (f"{INSTANCES_PATH}/u9", (404, "not_found", 'instance "u9": not known')),
        (f"{INSTANCES_PATH}/gone/series?metric=cpu", (404, "not_found", 'instance "gone": not known')),
        (f"{DEV}?cloud=x", (400, "bad_data", 'cloud: must be one of arbutus, got "x"')),
        (f"{INSTANCES_PATH}?idle=maybe", (400, "bad_data", "idle: 'maybe' is not true or false")),
        (f"{INSTANCES_PATH}?cloud=x", (400, "bad_data", 'cloud: must be one of arbutus, got "x"')),
        (f"{DEV}/series?metric=x", (400, "bad_data", 'metric: must be one of cpu, got "x"')),
    ],
)
async def test_what_is_not_there_is_told(idle_service: Service, path: str, error: tuple[int, str, str]) -> None:
    assert await idle_service.failure(path) == error


async def test_a_project_of_two_clouds_has_to_be_told_apart(service: Service) -> None:
    for cloud in ("arbutus", "beluga"):
        publish_cloud(service, make_instance(), cloud=cloud)
    assert await service.failure(DEV) == (
        400, "bad_data", 'cloud: project "def-kim-dev" is on arbutus, beluga: say which',
    )  # fmt: skip
    assert (await service.data(f"{DEV}?cloud=beluga"))["cloud"] == "beluga"
    assert (await service.failure("/api/v1/cloud/series?metric=cpu"))[
        2
    ] == "cloud: there are arbutus, beluga: say which"


async def test_a_cloud_that_cannot_be_read_is_unavailable_not_empty(service: Service) -> None:
    publish_cloud(service, up=False, last_success=None, error="gone away")
    for path in (DEV, f"{INSTANCES_PATH}/u1", "/api/v1/cloud/series"):
        assert await service.failure(path) == (503, "unavailable", 'cloud of "arbutus": gone away')
    body = await (await service.get(PROJECTS)).json()
    assert body["data"]["projects"] == []
    assert body["warnings"] == ['cloud of "arbutus": gone away']


async def test_instances_of_hypervisors_that_do_not_answer_are_said_to_be_missing(service: Service) -> None:
    publish_cloud(service, make_instance(), down=True)
    body = await (await service.get(DEV)).json()
    assert body["warnings"] == ['cloud "arbutus": 1 of 2 hypervisors do not answer: their instances are missing']


async def test_without_a_cloud_there_is_none(service: Service) -> None:
    publish_jobs(service.store)
    assert await service.data(PROJECTS) == {"projects": [], "next_cursor": None, "total": 0}
    assert await service.data(CLOUD) == {"clouds": []}
    assert (await service.failure(DEV))[0] == 404
    assert (await service.failure("/api/v1/cloud/series"))[0] == 404


@pytest.fixture
async def guarded(idle_service: Service, aiohttp_client: Any, tmp_path: Path) -> dict[str, Any]:
    file = tmp_path / "tokens.yml"
    tokens = {
        "alice": bearer(make_token(file, "alice000", "read:own", user="alice")),
        "carol": bearer(make_token(file, "carol000", "read:own", user="carol")),
        "staff": bearer(make_token(file, "staff000", "read:all")),
        "account": bearer(make_token(file, "account0", "read:account:def-kim-dev")),
    }
    await serve(idle_service, aiohttp_client, open_areas=frozenset({HEALTH}), tokens=TokenStore(file))
    return tokens


async def test_members_see_their_projects_and_nobody_else_does(idle_service: Service, guarded: dict[str, Any]) -> None:
    seen = {}
    for who, headers in guarded.items():
        data = await idle_service.data(PROJECTS, headers=headers)
        seen[who] = [each["project"] for each in data["projects"]]
        (cloud,) = (await idle_service.data(CLOUD, headers=headers))["clouds"]
        assert ("vcpus" in cloud) is ("hypervisors" in cloud) is (who == "staff")
    assert seen == {
        "alice": ["def-kim-dev"], "carol": [HOSTILE], "staff": ["def-kim-dev", HOSTILE], "account": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "error"),
    [
        (DEV, 'project "def-kim-dev": not known'),
        (f"{DEV}/series?metric=cpu", 'project "def-kim-dev": not known'),
        (f"{INSTANCES_PATH}/u1", 'instance "u1": not known'),
        (f"{INSTANCES_PATH}/u1/series?metric=cpu", 'instance "u1": not known'),
        (f"{INSTANCES_PATH}/u1/series?metric=cpu&project=def-kim-dev", 'project "def-kim-dev": not known'),
    ],
)
async def test_what_may_not_be_seen_answers_as_what_is_not_there(
    idle_service: Service, guarded: dict[str, Any], path: str, error: str
) -> None:
    assert await idle_service.failure(path, headers=guarded["carol"]) == (404, "not_found", error)
    assert (await idle_service.get(path, headers=guarded["alice"])).status == 200


async def test_the_whole_cloud_is_for_the_staff(idle_service: Service, guarded: dict[str, Any]) -> None:
    path = "/api/v1/cloud/series?metric=cpu"
    assert (await idle_service.failure(path, headers=guarded["alice"]))[0] == 403
    assert (await idle_service.get(path, headers=guarded["staff"])).status == 200


async def test_a_look_at_the_instances_of_others_is_a_line_of_the_log(
    idle_service: Service, guarded: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "aggregator.audit")
    for path in (INSTANCES_PATH, f"{INSTANCES_PATH}/u2", f"{DEV}/series?metric=cpu"):
        caplog.clear()
        await idle_service.get(path, headers=guarded["alice"])
        assert "whose=['bob']" in caplog.text
    caplog.clear()
    await idle_service.get(f"{INSTANCES_PATH}/u1", headers=guarded["alice"])
    assert caplog.text == ""


async def test_members_do_not_learn_on_which_hypervisor_they_are(
    idle_service: Service, guarded: dict[str, Any]
) -> None:
    shown = (await idle_service.data(INSTANCES_PATH, headers=guarded["alice"]))["instances"]
    assert [each["uuid"] for each in shown] == ["u1", "u2"]
    assert all("hypervisor" not in each for each in shown)
    for query in ("hypervisor=hv01", "sort=hypervisor", "fields=hypervisor", "group_by=hypervisor"):
        assert (await idle_service.failure(f"{INSTANCES_PATH}?{query}", headers=guarded["alice"]))[0] == 400
        assert (await idle_service.get(f"{INSTANCES_PATH}?{query}", headers=guarded["staff"])).status == 200


async def test_a_cloud_that_was_read_and_not_joined_yet_is_unknown_and_not_zero(
    idle_service: Service, aiohttp_client: Any
) -> None:
    await serve(idle_service, aiohttp_client)
    idle_service.store.publish_cloud(View("arbutus", 0.0, CLOUDS.empty()))
    (cloud,) = (await idle_service.data(CLOUD))["clouds"]
    assert (await idle_service.data(PROJECTS))["projects"] == []
    assert (cloud["hypervisors"], cloud["instances"], cloud["vcpus"]) == (0, None, None)
    assert cloud["rule_duration_seconds"] is None
