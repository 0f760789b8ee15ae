"""What a route declares: who may enter it, its parameters, and what it answers."""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal

from aiohttp import web

from aggregator.engine.listed import Listed

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Kind = Literal["text", "time", "duration", "count"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of a query. choices are the only values that it may have; a repeatable one may be a comma list."""

    name: str
    help: str
    kind: Kind = "text"
    choices: tuple[str, ...] = ()
    repeatable: bool = False
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A method on a path. parameters are all that it takes, beside those of a list where it answers with one (listed).

    body is the type of the JSON that a request brings, or bytes. answer has the types that the answer's data may be of,
    row is the path of the list whose fields they have; without both, media is the type of what comes.
    takes_any is of a path to which others send parameters of their own.
    """

    method: Literal["GET", "PUT", "POST"] = "GET"
    path: str
    handler: Handler
    area: str
    parameters: tuple[Parameter, ...] = ()
    listed: Listed | None = None
    body: type | None = None
    answer: tuple[type, ...] = ()
    row: str = ""
    media: str = "text/plain"
    takes_any: bool = False

    @property
    def summary(self) -> str:
        """Give the first line of what the handler says of itself."""
        return inspect.cleandoc(self.handler.__doc__ or "").partition("\n")[0]

    @property
    def description(self) -> str:
        """Give the rest of it."""
        return inspect.cleandoc(self.handler.__doc__ or "").partition("\n")[2].strip()


# Who may enter which path.
AREAS_OF_PATHS: Final = web.AppKey[dict[str, str]]("areas_of_paths")
