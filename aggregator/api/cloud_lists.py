"""The lists of all clouds: projects, and instances that run."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final
from weakref import ref

import polars as pl
from aiohttp import web

from aggregator.api.cloud import cloud_warnings
from aggregator.api.freshness import cloud_failure
from aggregator.api.keys import STORE
from aggregator.api.lists import ListRoute
from aggregator.api.lookup import rights_in
from aggregator.api.visibility import Rights
from aggregator.engine.column import Column, Table
from aggregator.engine.frame import empty
from aggregator.engine.listed import Listed
from aggregator.engine.part import Layout
from aggregator.engine.view import View
from aggregator.model.view import Snapshot

_PATH: Final = "/api/v1/cloud/"
_CLOUD: Final = Column(name="cloud", dtype=pl.String, help="Name of the cloud.")
# The frame with the names of all clouds.
_NAMES: Final = "clouds"
# What tells the rows of a cloud apart, in their order.
_ORDERS: Final = {"projects": ("project",), "instances": ("project", "uuid"), "members": ("project", "user")}


def cloud_lists(layout: Layout) -> tuple[ListRoute[View], ...]:
    """Give the lists of the clouds' tables."""
    tables = {name: replace(layout.tables[name], columns=(_CLOUD, *layout.tables[name].columns)) for name in _ORDERS}
    clouds = _Together(tables)

    def find(request: web.Request) -> tuple[View, Rights]:
        return clouds(request.app[STORE].current), rights_in(request)

    return tuple(
        ListRoute(
            path=f"{_PATH}{name}",
            listed=Listed(
                name=name, table=tables[name], order=("cloud", *_ORDERS[name]),
                choices={"cloud": lambda view: frozenset(view[_NAMES]["cloud"])},
            ),
            find=find, frame=lambda view, name=name: view[name],  # type: ignore[misc]
            sees=lambda rights, view: rights.sees_projects(view), warn=_warnings, staff=_OF_STAFF[name],
        )
        for name in _OF_STAFF
    )  # fmt: skip


# The lists, with the columns that only the staff has.
_OF_STAFF: Final = {"projects": frozenset[str](), "instances": frozenset({"hypervisor"})}


class _Together:
    """The clouds that can be told about, as one: put together once of each snapshot."""

    def __init__(self, tables: Mapping[str, Table]) -> None:
        self._tables = tables
        # Weak: nobody may ever ask again.
        self._made: tuple[Callable[[], Snapshot | None], View] | None = None

    def __call__(self, snapshot: Snapshot) -> View:
        """Give the clouds of a snapshot."""
        if self._made is None or self._made[0]() is not snapshot:
            self._made = ref(snapshot), self._of(snapshot)
        return self._made[1]

    def _of(self, snapshot: Snapshot) -> View:
        views = [view for name, view in sorted(snapshot.clouds.items()) if cloud_failure(snapshot, name) is None]
        frames = {
            name: pl.concat([empty(table), *(_of_cloud(view, table, _ORDERS[name]) for view in views)])
            for name, table in self._tables.items()
        }
        names = pl.DataFrame({"cloud": sorted(snapshot.clouds)}, schema={"cloud": pl.String})
        return View("", 0.0, {**frames, _NAMES: names})


def _of_cloud(view: View, table: Table, order: Sequence[str]) -> pl.DataFrame:
    return view[table.name].with_columns(cloud=pl.lit(view.name)).select(table.schema.names()).sort(order)


def _warnings(request: web.Request, _: View) -> Iterator[str]:
    snapshot = request.app[STORE].current
    for name in sorted(snapshot.clouds):
        yield from cloud_warnings(snapshot, name)
