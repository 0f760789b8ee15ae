"""What a page declares, and how a request for one becomes HTML."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from aggregator.api.areas import READ
from aggregator.api.route import Handler, Parameter, Route
from aggregator.pages.language import CHOICE, language_of
from aggregator.pages.render import Visit, respond

# Gives what a template needs beside what every page has.
Read = Callable[[Visit], Awaitable[Mapping[str, Any]]]
_LANGUAGE = Parameter(name=CHOICE, help="The language, which the browser then remembers.")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebPage:
    """A page: its path, who may ask for it, the parameters that it takes, what is read for it, and its template."""

    path: str
    template: str
    read: Read
    area: str = READ
    parameters: tuple[Parameter, ...] = ()

    @property
    def route(self) -> Route:
        """Give the route of the page."""
        parameters = (*self.parameters, _LANGUAGE)
        return Route(path=self.path, handler=self._handler(), area=self.area, parameters=parameters, media="text/html")

    def _handler(self) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            visit = Visit(request, language_of(request))
            return respond(visit, self.template, await self.read(visit))

        return answer
