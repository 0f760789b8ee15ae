"""The lists of the tables of other packages' parts."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aggregator.api.cluster_lists import part_list
from aggregator.api.tokens.store import TokenStore
from aggregator.engine.column import Column, Table
from tests.unit.api.builders import NOW, make_status, publish_jobs

from .conftest import Service
from .tokens import bearer, make_token

TAPES = Table(
    name="tapes", of="tape", collect="tapes", labels={"library": "library", "drive": "number"},
    columns=(
        Column(name="library", dtype=pl.String, help="Name of the library."),
        Column(name="number", dtype=pl.Int64, help="Number of the drive."),
        Column(name="mounted", dtype=pl.Float64, help="Tapes that are mounted."),
    ),
)  # fmt: skip
TOTAL = Table(
    name="tape_total", of="site", collect="tapes", labels={},
    columns=(Column(name="tapes", dtype=pl.Float64, help="Tapes of the site."),),
)  # fmt: skip
ROWS = [("west", 2, 1.0), ("east", 10, None), ("east", 9, 4.0), (None, 1, 0.0)]
PATH = "/api/v1/clusters/narval/tapes"


@pytest.fixture
async def tapes(idle_service: Service, aiohttp_client: Any) -> Service:
    idle_service.lists = (part_list("tapes", TAPES), part_list("tapes", TOTAL))
    frames = {
        "tapes": pl.DataFrame(ROWS, schema=TAPES.schema, orient="row"), "tape_total": pl.DataFrame({"tapes": [7.0]}),
    }  # fmt: skip
    publish_jobs(idle_service.store)
    view = idle_service.store.latest.clusters["narval"]
    idle_service.store.publish_cluster(replace(view, frames={**view.frames, **frames}))
    idle_service.store.publish_source(make_status("tapes"))
    idle_service.client = await aiohttp_client(idle_service.app())
    return idle_service


async def test_pages_are_by_the_labels_and_have_every_row_once(tapes: Service) -> None:
    found, cursor = [], ""
    while cursor is not None:
        data = await tapes.data(f"{PATH}?limit=1" + (f"&cursor={cursor}" if cursor else ""))
        found += data["tapes"]
        cursor = data["next_cursor"]
    assert [tuple(row.values()) for row in found] == [("east", 9, 4.0), ("east", 10, None), ("west", 2, 1.0),
                                                      (None, 1, 0.0)]  # fmt: skip
    assert found[0].keys() == {"library", "number", "mounted"}


async def test_it_has_the_grammar_of_every_list(tapes: Service) -> None:
    chosen = await tapes.data(f"{PATH}?library=east,west&number=9&number=2")
    assert [row["number"] for row in chosen["tapes"]] == [9, 2]
    many = await tapes.data(f"{PATH}?min_mounted=1&sort=-mounted&fields=number,mounted")
    assert many["tapes"] == [{"number": 9, "mounted": 4.0}, {"number": 2, "mounted": 1.0}]
    status, _, error = await tapes.failure(f"{PATH}?mouted=1")
    assert (status, error) == (400, "mouted: no such parameter, did you mean mounted?")
    assert (await tapes.failure(f"{PATH}?cursor=x"))[0] == 400


async def test_a_table_without_labels_is_one_page(tapes: Service) -> None:
    path = "/api/v1/clusters/narval/tape_total"
    assert await tapes.data(path) == {"tape_total": [{"tapes": 7.0}], "next_cursor": None, "total": 1}


async def test_pages_of_a_table_without_labels_have_every_row_once(tapes: Service) -> None:
    view = tapes.store.latest.clusters["narval"]
    rows = pl.DataFrame({"tapes": [7.0, None, 7.5]})
    tapes.store.publish_cluster(replace(view, frames={**view.frames, "tape_total": rows}))
    first = await tapes.data("/api/v1/clusters/narval/tape_total?limit=2")
    rest = await tapes.data(f"/api/v1/clusters/narval/tape_total?cursor={first['next_cursor']}")
    assert [row["tapes"] for row in (*first["tape_total"], *rest["tape_total"])] == [7.0, 7.5, None]


async def test_a_part_that_has_never_been_read_is_not_an_empty_list(tapes: Service) -> None:
    tapes.store.publish_source(make_status("tapes", up=False, last_success=None, error="no route to host"))
    assert await tapes.failure(PATH) == (503, "unavailable", 'tapes of "narval": no route to host')
    tapes.store.publish_source(make_status("tapes_old", last_success=NOW - 5))
    assert len((await tapes.data(PATH))["tapes"]) == 4


async def test_a_part_that_is_not_configured_is_not_there(tapes: Service) -> None:
    tapes.store.forget_sources({("tapes", "narval")})
    # No source of this part, though its name begins alike.
    tapes.store.publish_source(make_status("tapestry"))
    status, _, error = await tapes.failure(PATH)
    assert (status, error) == (404, 'cluster "narval": the part tapes is not configured: clusters.narval.parts.tapes')


async def test_every_list_of_a_part_is_the_staffs(tapes: Service, aiohttp_client: Any, tmp_path: Path) -> None:
    file = tmp_path / "tokens.yml"
    staff, user = make_token(file, "staff000", "read:all"), make_token(file, "alice000", "read:own", user="alice")
    scraper = make_token(file, "scraper0", "metrics")
    client = await aiohttp_client(tapes.app(open_areas=frozenset(), tokens=TokenStore(file)))
    for each in tapes.lists:
        path = f"/api/v1/clusters/narval/{each.listed.name}"
        shown = ({}, bearer(user), bearer(scraper), bearer(staff))
        assert [(await client.get(path, headers=headers)).status for headers in shown] == [401, 403, 403, 200]
