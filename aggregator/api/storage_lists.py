"""The lists of a file system: its groups and its users, with quotas, inodes, HSM states and sizes."""

from collections.abc import Callable
from typing import Final

import polars as pl

from aggregator.api.keys import STORE
from aggregator.api.lists import ListRoute
from aggregator.api.lookup import find_seen_filesystem
from aggregator.api.storage import storage_warnings
from aggregator.api.visibility import Rights
from aggregator.engine.listed import Derived, Listed, Nested, short_numbers
from aggregator.engine.part import Layout
from aggregator.engine.view import View
from aggregator.model.storage import SIZE_BIN_EDGES

_PATH: Final = "/api/v1/storage/{filesystem}/"
GROUPS_PATH: Final = f"{_PATH}groups"
SPACES_PATH: Final = f"{_PATH}users"
_BINS: Final = "file_size_bins"
_PROFILE: Final = pl.List(pl.Struct({"le": pl.Int64, "count": pl.Int64}))


def storage_lists(layout: Layout) -> tuple[ListRoute[View], ...]:
    """Give the lists of a file system's tables."""
    return (
        _route(layout, "group", ("group",), lambda rights, view: rights.sees_groups(view)),
        _route(layout, "user", ("group", "user"), lambda rights, _: rights.is_own),
    )


def _route(layout: Layout, of: str, key: tuple[str, ...], sees: Callable[[Rights, View], pl.Expr]) -> ListRoute[View]:
    tables = layout.tables
    listed = Listed(
        name=f"{of}s", table=tables[f"{of}s"], order=key, hidden=frozenset({_BINS}),
        derived=(
            Derived(
                name="size_profile", value=_profile(), dtype=_PROFILE,
                help="Files of at most `le` bytes; the open bin has none.",
            ),
        ),
        nested=(
            Nested(
                name="inodes", table=tables[f"{of}_inodes"], on=key, columns=("type", "disk", "tape"),
                help="Inodes by type and tier.",
            ),
            Nested(
                name="hsm", table=tables[f"{of}_hsm"], on=key, columns=("state", "hsm_bytes"),
                help="Bytes by the state of HSM.",
            ),
        ),
    )  # fmt: skip
    return ListRoute(
        path=f"{_PATH}{of}s", listed=listed, find=find_seen_filesystem, frame=lambda view: view[f"{of}s"], sees=sees,
        warn=lambda request, view: storage_warnings(request.app[STORE].current, view),
    )  # fmt: skip


def _profile() -> pl.Expr:
    """Pair each cumulative count with its upper edge; the last bin has none."""
    counts = short_numbers(pl.col(_BINS))
    bins = (
        pl.struct(pl.lit(edge, pl.Int64).alias("le"), counts.list.get(number, null_on_oob=True).alias("count"))
        for number, edge in enumerate((*SIZE_BIN_EDGES, None))
    )
    return pl.when(counts.is_not_null()).then(pl.concat_list(*bins))
