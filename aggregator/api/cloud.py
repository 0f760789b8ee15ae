"""GET /api/v1/cloud/…: projects, their instances, and what these use and used."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal, NotRequired, TypedDict

import polars as pl
from aiohttp import web

from aggregator.api.answer import Epoch, Time, row
from aggregator.api.audit import audit
from aggregator.api.envelope import success
from aggregator.api.errors import ApiError, BadData, Unavailable
from aggregator.api.freshness import cloud_failure, source_warnings
from aggregator.api.keys import STORE
from aggregator.api.lists import LISTS
from aggregator.api.lookup import absent, rights_in
from aggregator.api.parameters import Parameters
from aggregator.api.representation import Json, times
from aggregator.api.series import DAY_SECONDS, Reader, answer_series
from aggregator.api.unchanged import of_snapshot
from aggregator.engine.listed import COVERAGE, GATHERED
from aggregator.engine.view import View
from aggregator.model.series import Subject
from aggregator.model.view import Snapshot
from aggregator.queries.series import cloud_key

_SERIES_SECONDS: Final = 7 * DAY_SECONDS
_SHOWN: Final = 100
_COVERED: Final = f"memory{COVERAGE}"
_Thing = Literal["project", "instance"]
_PATHS: Final[Mapping[_Thing, str]] = {"project": "/api/v1/cloud/projects", "instance": "/api/v1/cloud/instances"}
_KEYS: Final[Mapping[_Thing, str]] = {"project": "project", "instance": "uuid"}


class CloudShown(TypedDict):
    """How fresh a cloud is, and by which rule instances idle; to the staff with the fields of a project."""

    cloud: str
    as_of_time: Time
    as_of_timestamp_seconds: Epoch
    rule_duration_seconds: float | None
    rule_cpu_ratio: float | None
    rule_network_bytes_per_second: float | None
    hypervisors: NotRequired[int]
    hypervisors_down: NotRequired[list[str]]


class CloudsShown(TypedDict):
    """Every cloud."""

    clouds: list[Annotated[Json, row("cloud_projects", "CloudShown")]]


@of_snapshot
async def list_clouds(request: web.Request) -> web.Response:
    """Answer with how fresh each cloud is and by which rule instances idle, to the staff with its totals."""
    return success(request, *read_clouds(request))


def read_clouds(request: web.Request) -> tuple[Json, list[str]]:
    """Read what is answered of the clouds that are asked for, and what is missing.

    Raises BadData.
    """
    asked = Parameters(request)
    staff = rights_in(request).everything
    clouds = [_cloud_json(view, staff=staff) for view in _views(request, asked)]
    return {"clouds": clouds}, _warnings(request.app[STORE].current, asked)


@of_snapshot
async def get_project(request: web.Request) -> web.Response:
    """Answer with one project."""
    project = await _find(request, Parameters(request), "project")
    return success(request, project, list(cloud_warnings(request.app[STORE].current, project["cloud"])))


@of_snapshot
async def get_instance(request: web.Request) -> web.Response:
    """Answer with one running instance."""
    instance = await _find(request, Parameters(request), "instance")
    _audit(request, instance["cloud"], pl.col("uuid") == instance["uuid"])
    return success(request, instance, list(cloud_warnings(request.app[STORE].current, instance["cloud"])))


async def get_cloud_series(request: web.Request) -> web.Response:
    """Answer with a graph of a whole cloud, by default of its last week."""
    asked = Parameters(request)
    views = _views(request, asked)
    if len(views) > 1:
        raise BadData(f"cloud: there are {', '.join(view.name for view in views)}: say which")
    if not views:
        raise _missing(request, asked, "cloud", "any")
    return await _series(request, asked, views[0], "cloud", Subject())


async def get_project_series(request: web.Request) -> web.Response:
    """Answer with a graph of a project's instances, by default of its last week."""
    asked = Parameters(request)
    project = await _find(request, asked, "project")
    name, cloud = project["project"], project["cloud"]
    _audit(request, cloud, pl.col("project") == name)
    view = request.app[STORE].current.clouds[cloud]
    return await _series(request, asked, view, "project", Subject(labels=(("project_name", name),)))


async def get_instance_series(request: web.Request) -> web.Response:
    """Answer with a graph of one instance, by default of its last week; of one that has gone `project` says whose."""
    asked = Parameters(request)
    project, uuid = asked.text("project"), request.match_info["uuid"]
    found = await (_find(request, asked, "instance") if project is None else _find(request, asked, "project", project))
    _audit(request, found["cloud"], pl.col("uuid") == uuid)
    # Always with the project: an instance of another one is none of this.
    subject = Subject(labels=(("project_name", found["project"]), ("uuid", uuid)))
    return await _series(request, asked, request.app[STORE].current.clouds[found["cloud"]], "instance", subject)


async def _series(request: web.Request, asked: Parameters, view: View, kind: str, subject: Subject) -> web.Response:
    reader = Reader(cloud_key(view.name))
    return await answer_series(request, asked, reader, kind, subject, seconds=_SERIES_SECONDS)


def _asked_clouds(snapshot: Snapshot, asked: Parameters) -> list[str]:
    """List the clouds that are asked for, by name; all without the parameter.

    Raises BadData naming those that there are.
    """
    wanted = asked.many("cloud")
    for name in sorted(wanted - snapshot.clouds.keys()):
        known = ", ".join(sorted(snapshot.clouds)) or "none"
        raise BadData(f'cloud: must be one of {known}, got "{name[:_SHOWN]}"')
    return sorted(wanted or snapshot.clouds)


def _views(request: web.Request, asked: Parameters) -> list[View]:
    """Give the clouds that are asked for and can be told about."""
    snapshot = request.app[STORE].current
    names = _asked_clouds(snapshot, asked)
    return [snapshot.clouds[name] for name in names if cloud_failure(snapshot, name) is None]


async def _find(request: web.Request, asked: Parameters, what: _Thing, name: str | None = None) -> Json:
    """Show the project or the instance of the path; one that may not be seen is as one that is not known.

    Raises NotFound, BadData when several clouds have one of that name, Unavailable when a cloud cannot be read.
    """
    each, key = request.app[LISTS][_PATHS[what]], _KEYS[what]
    name = request.match_info[key] if name is None else name
    view, rights, _ = await each.look(request)
    clouds = _asked_clouds(request.app[STORE].current, asked)
    found = each.things(view, rights, (pl.col(key) == name) & pl.col("cloud").is_in(clouds))
    if len(found) > 1:
        several = ", ".join(row["cloud"] for row in found)
        raise BadData(f'cloud: {what} "{name[:_SHOWN]}" is on {several}: say which')
    if not found:
        raise _missing(request, asked, what, name)
    return found[0]


def _missing(request: web.Request, asked: Parameters, what: str, name: str) -> ApiError:
    """Say that it is not there, or that a cloud on which it may be cannot be read."""
    snapshot = request.app[STORE].current
    for cloud in _asked_clouds(snapshot, asked):
        if failure := cloud_failure(snapshot, cloud):
            return Unavailable(failure)
    return absent(snapshot, f'{what} "{name[:_SHOWN]}": not known')


def _cloud_json(view: View, *, staff: bool) -> Json:
    """Show one cloud: how fresh it is, by which rule instances idle; to the staff its hypervisors and totals."""
    # Of a cloud that was not joined yet nothing is known.
    found = next(view["cloud"].iter_rows(named=True), dict.fromkeys(view["cloud"].columns))
    hypervisors = view["hypervisors"]
    of_staff: Json = {
        "hypervisors": hypervisors.height,
        "hypervisors_down": sorted(hypervisors.filter(~hypervisors["up"])["hypervisor"]),
    }
    rule = {name: value for name, value in found.items() if name.startswith("rule_")}
    totals = {name: value for name, value in found.items() if name not in (*rule, _COVERED)}
    of_staff |= {**totals, GATHERED: {"memory": found[_COVERED]}}
    return {"cloud": view.name, **times("as_of", view.time), **rule, **(of_staff if staff else {})}


def _audit(request: web.Request, cloud: str, chosen: pl.Expr) -> None:
    instances = request.app[STORE].current.clouds[cloud]["instances"].filter(chosen)
    audit(request, filter(None, instances["user"]))


def _warnings(snapshot: Snapshot, asked: Parameters) -> list[str]:
    return [text for name in _asked_clouds(snapshot, asked) for text in cloud_warnings(snapshot, name)]


def cloud_warnings(snapshot: Snapshot, name: str) -> Iterator[str]:
    """Name what is missing: inputs, and instances of hypervisors that do not answer."""
    yield from source_warnings(snapshot, name)
    view = snapshot.clouds.get(name)
    up = view["hypervisors"]["up"] if view else pl.Series(dtype=pl.Boolean)
    if not up.all():
        yield f'cloud "{name}": {(~up).sum()} of {len(up)} hypervisors do not answer: their instances are missing'
