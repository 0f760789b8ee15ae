"""Lists on pages: what of a request is asked of the API's list, and the links by which it is sorted and paged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from aggregator.api.lists import LISTS, read_page
from aggregator.api.route import Parameter
from aggregator.pages.render import Visit

ROWS: Final = 50
_SORT: Final = "sort"
_CURSOR: Final = "cursor"
OF_LISTS: Final = (
    Parameter(name=_SORT, help="A field, `-` before it for descending.", repeatable=True),
    Parameter(name=_CURSOR, help="Where the page before ended."),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RowsAsked:
    """A page of a list, what of each filter is asked for, and all that a link to another page has to repeat."""

    rows: Sequence[Mapping[str, Any]]
    total: int | None
    cursor: str
    sort: str
    query: Mapping[str, str]
    chosen: Mapping[str, str]
    warnings: Sequence[str]

    def sort_link(self, field: str) -> str:
        """Give the link that sorts by a field, the other way round where it is sorted by it."""
        order = field if self.sort == f"-{field}" else f"-{field}"
        return "?" + urlencode({**self.chosen, _SORT: order})

    def direction(self, field: str) -> str:
        """Say how a field is sorted, in the words of ARIA."""
        return {field: "ascending", f"-{field}": "descending"}.get(self.sort.partition(",")[0], "none")

    @property
    def next_link(self) -> str:
        """Give the link to the next page, "" on the last one."""
        return "?" + urlencode({**self.chosen, _SORT: self.sort, _CURSOR: self.cursor}) if self.cursor else ""


async def read_listing(
    visit: Visit, path: str, fixed: Mapping[str, str], *, sort: str, filters: Sequence[str] = (),
    is_first: bool = False,
) -> RowsAsked:  # fmt: skip
    """Read a page of the list of an API path, with fixed filters and those of the request.

    Of a list that is not the page's own always the first page is read, in its own order.

    Raises ApiError, FetchError.
    """
    query = {} if is_first else visit.request.query
    chosen = {name: query[name] for name in filters if query.get(name)}
    order = query.get(_SORT, sort)
    asked = {**fixed, **chosen, _SORT: order, "limit": str(ROWS)}
    if _CURSOR in query:
        asked[_CURSOR] = query[_CURSOR]
    page, warnings = await read_page(visit.request, visit.request.app[LISTS][path], asked.items())
    shown = {name: query.get(name, "") for name in filters}
    kept = {name: value for name, value in query.items() if name not in (_SORT, _CURSOR)}
    return RowsAsked(page.rows.to_dicts(), page.total, page.cursor, order, shown, kept, warnings)
