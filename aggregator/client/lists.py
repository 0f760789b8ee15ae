"""Lists of the API: filters are passed on as they are, and pages are followed."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from aggregator.client.errors import Misused
from aggregator.client.service import Answer, Api, Call

MOST_OF_A_PAGE: Final = 1000


def pairs(filters: Iterable[str]) -> list[tuple[str, str]]:
    """Read `KEY=VALUE`s.

    Raises Misused.
    """
    found = []
    for each in filters:
        name, equals, value = each.partition("=")
        if not name or not equals:
            raise Misused(f"--filter: must be KEY=VALUE, got {each!r}")
        found.append((name, value))
    return found


def list_of(path: str, filters: Iterable[tuple[str, str]], words: Mapping[str, str | None]) -> Call:
    """Say what is asked of a list; a word that is not given is the service's matter."""
    given = ((name, value) for name, value in words.items() if value)
    return Call(path, (*filters, *given))


def rows_of(service: Api, asked: Call, name: str, limit: int) -> Answer:
    """Read a list up to limit, page by page; give the data of one answer with the rows of all.

    Raises ClientError.
    """
    found = service.ask(asked.having(limit=str(min(limit, MOST_OF_A_PAGE))))
    rows: list[dict[str, Any]] = list(found.data[name])
    warnings = dict.fromkeys(found.warnings)
    last = found.data
    while last["next_cursor"] and len(rows) < limit:
        wanted = str(min(limit - len(rows), MOST_OF_A_PAGE))
        page = service.ask(asked.having(limit=wanted, cursor=last["next_cursor"]))
        last = page.data
        rows += last[name]
        warnings |= dict.fromkeys(page.warnings)
    return Answer({**found.data, name: rows, "next_cursor": last["next_cursor"]}, tuple(warnings))
