"""GET /api/v1/cloud/…: projects, their instances, and what these use and used."""

from collections.abc import Iterator
from typing import Final

import polars as pl
from aiohttp import web

from aggregator.api.audit import audit
from aggregator.api.cloud_representation import cloud_json, instance_json, project_json
from aggregator.api.envelope import success
from aggregator.api.errors import ApiError, BadData, NotFound, Unavailable
from aggregator.api.freshness import cloud_failure, source_warnings
from aggregator.api.identity import identity_of
from aggregator.api.keys import SETTINGS, STORE
from aggregator.api.lookup import absent
from aggregator.api.parameters import Parameters
from aggregator.api.representation import Json
from aggregator.api.series import DAY_SECONDS, PARAMETERS, Reader, answer_series
from aggregator.api.unchanged import of_snapshot
from aggregator.api.visibility import Rights, rights_of
from aggregator.engine.view import View
from aggregator.model.series import Subject
from aggregator.model.view import Snapshot
from aggregator.queries.series import cloud_key

_SERIES_SECONDS: Final = 7 * DAY_SECONDS
_SHOWN: Final = 100


@of_snapshot
async def list_clouds(request: web.Request) -> web.Response:
    """Answer with how fresh each cloud is and by which rule instances idle, to the staff with its totals."""
    asked = Parameters(request, "cloud")
    staff = _rights(request).everything
    clouds = [cloud_json(view, staff=staff) for view in _views(request, asked)]
    return success(request, {"clouds": clouds}, _warnings(request.app[STORE].current, asked))


@of_snapshot
async def get_project(request: web.Request) -> web.Response:
    """Answer with one project."""
    asked = Parameters(request, "cloud")
    view, sums = _find_project(request, asked)
    return success(request, project_json(view.name, sums), _warnings_of(request, view))


@of_snapshot
async def get_instance(request: web.Request) -> web.Response:
    """Answer with one running instance."""
    asked = Parameters(request, "cloud")
    view, sums = _find_project(request, asked)
    uuid = request.match_info["uuid"]
    found = _instances(view, sums["project"]).filter(pl.col("uuid") == uuid)
    if found.is_empty():
        raise NotFound(f'instance "{uuid[:_SHOWN]}": not running in project "{sums["project"][:_SHOWN]}"')
    _audit(request, found)
    data = instance_json(view.name, found.row(0, named=True), staff=_rights(request).everything)
    return success(request, data, _warnings_of(request, view))


async def get_cloud_series(request: web.Request) -> web.Response:
    """Answer with a graph of a whole cloud, by default of its last week."""
    asked = Parameters(request, *PARAMETERS, "cloud")
    views = _views(request, asked)
    if len(views) > 1:
        raise BadData(f"cloud: there are {', '.join(view.name for view in views)}: say which")
    if not views:
        raise _missing(request, asked, "cloud", "any")
    return await _series(request, asked, views[0], "cloud", Subject())


async def get_project_series(request: web.Request) -> web.Response:
    """Answer with a graph of a project's instances, by default of its last week."""
    asked = Parameters(request, *PARAMETERS, "cloud")
    view, sums = _find_project(request, asked)
    _audit(request, _instances(view, sums["project"]))
    return await _series(request, asked, view, "project", Subject(labels=(("project_name", sums["project"]),)))


async def get_instance_series(request: web.Request) -> web.Response:
    """Answer with a graph of one instance, which need not run any more, by default of its last week."""
    asked = Parameters(request, *PARAMETERS, "cloud")
    view, sums = _find_project(request, asked)
    uuid = request.match_info["uuid"]
    _audit(request, _instances(view, sums["project"]).filter(pl.col("uuid") == uuid))
    # Always with the project: an instance of another one is none of this.
    subject = Subject(labels=(("project_name", sums["project"]), ("uuid", uuid)))
    return await _series(request, asked, view, "instance", subject)


async def _series(request: web.Request, asked: Parameters, view: View, kind: str, subject: Subject) -> web.Response:
    reader = Reader(cloud_key(view.name))
    return await answer_series(request, asked, reader, kind, subject, seconds=_SERIES_SECONDS)


def _rights(request: web.Request) -> Rights:
    return rights_of(identity_of(request), request.app[SETTINGS].rules)


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


def _find_project(request: web.Request, asked: Parameters) -> tuple[View, Json]:
    """Give the project of the path; one that may not be seen is as one that is not known.

    Raises NotFound, BadData when several clouds have one of that name, Unavailable when a cloud cannot be read.
    """
    name, rights = request.match_info["project"], _rights(request)
    found = [
        (view, sums)
        for view in _views(request, asked)
        for sums in rights.projects_of(view).filter(pl.col("project") == name).iter_rows(named=True)
    ]
    if len(found) > 1:
        clouds = ", ".join(view.name for view, _ in found)
        raise BadData(f'cloud: project "{name[:_SHOWN]}" is on {clouds}: say which')
    if not found:
        raise _missing(request, asked, "project", name)
    return found[0]


def _missing(request: web.Request, asked: Parameters, what: str, name: str) -> ApiError:
    """Say that it is not there, or that a cloud on which it may be cannot be read."""
    snapshot = request.app[STORE].current
    for cloud in _asked_clouds(snapshot, asked):
        if failure := cloud_failure(snapshot, cloud):
            return Unavailable(failure)
    return absent(snapshot, f'{what} "{name[:_SHOWN]}": not known')


def _instances(view: View, project: str) -> pl.DataFrame:
    return view["instances"].filter(pl.col("project") == project)


def _audit(request: web.Request, instances: pl.DataFrame) -> None:
    audit(request, filter(None, instances["user"]))


def _warnings(snapshot: Snapshot, asked: Parameters) -> list[str]:
    return [text for name in _asked_clouds(snapshot, asked) for text in cloud_warnings(snapshot, name)]


def _warnings_of(request: web.Request, view: View) -> list[str]:
    return list(cloud_warnings(request.app[STORE].current, view.name))


def cloud_warnings(snapshot: Snapshot, name: str) -> Iterator[str]:
    """Name what is missing: inputs, and instances of hypervisors that do not answer."""
    yield from source_warnings(snapshot, name)
    view = snapshot.clouds.get(name)
    up = view["hypervisors"]["up"] if view else pl.Series(dtype=pl.Boolean)
    if not up.all():
        yield f'cloud "{name}": {(~up).sum()} of {len(up)} hypervisors do not answer: their instances are missing'
