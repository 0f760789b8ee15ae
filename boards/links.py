"""Where the cells of tables lead: to the board of the thing, and to its page."""

from collections.abc import Mapping, Sequence
from typing import Final


def _board(name: str, **variables: str) -> str:
    chosen = "".join(f"&var-{variable}={_cell(column)}" for variable, column in variables.items())
    return f"/d/hpc-{name}?${{__url_time_range}}{chosen}"


def _page(*parts: str) -> str:
    path = "/".join(_cell(part[1:]) if part.startswith("$") else part for part in parts)
    return f"${{service}}/ui/{path}"


def _cell(column: str) -> str:
    """Name the cell of the same row; names are text of users."""
    return f"${{__data.fields.{column}:percentencode}}"


# By the column; a table that has it has the columns that the links name, too.
LINKS: Final[Mapping[str, Sequence[tuple[str, str]]]] = {
    "account": [
        ("Board of the account", _board("account", cluster="cluster", account="account")),
        ("Page of the account", _page("clusters", "$cluster", "accounts", "$account")),
    ],
    "user": [
        ("Board of the user", _board("user", cluster="cluster", user="user")),
        ("Page of the user", _page("clusters", "$cluster", "users", "$user")),
    ],
    "slurmjobid": [
        ("Page of the job", _page("clusters", "$cluster", "jobs", "$slurmjobid")),
        ("Board of the job", _board("job", cluster="cluster", user="user", job="slurmjobid")),
    ],
    "group": [("Page of the group", _page("storage", "$filesystem", "groups", "$group"))],
    "node": [("Page of the node", _page("clusters", "$cluster", "nodes", "$node"))],
}
_NEEDED: Final = {
    "account": ("cluster",),
    "user": ("cluster",),
    "slurmjobid": ("cluster", "user"),
    "group": ("filesystem",),
    "node": ("cluster",),
}


def links_of(columns: Sequence[str]) -> Mapping[str, Sequence[tuple[str, str]]]:
    """Give the links of the columns of a table; none where it has not all that their addresses name."""
    return {column: links for column, links in LINKS.items() if column in columns and {*_NEEDED[column]} <= {*columns}}
