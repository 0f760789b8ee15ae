"""Answers that are made of the snapshot: who has the one of now is told so without making it again."""

import functools
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Final
from weakref import ref

from aiohttp import web
from cachetools import LRUCache

from aggregator.api.audit import audit, owners_shown
from aggregator.api.envelope import has_answer, not_modified
from aggregator.api.identity import Identity, identity_of
from aggregator.api.keys import SETTINGS, STORE
from aggregator.api.lookup import missing_accounting
from aggregator.model.view import Snapshot

_MOST: Final = 4096
_Question = tuple[str, Identity]
Handler = Callable[[web.Request], Awaitable[web.Response]]


@dataclass(frozen=True, slots=True)
class _Given:
    """The ETag of an answer, and whose data are in it."""

    etag: str
    owners: Collection[str]


class GivenAnswers:
    """Remember the answers that were made of the current snapshot under the current settings, by URL and identity."""

    def __init__(self) -> None:
        # Weak: nobody may ever ask again, and an old snapshot is large.
        self._snapshot: Callable[[], Snapshot | None] = lambda: None
        self._settings: tuple[object, ...] = ()
        self._given: LRUCache[_Question, _Given] = LRUCache(_MOST)

    def find(self, request: web.Request) -> _Given | None:
        """Give what is remembered of a request; what was made of another snapshot is forgotten."""
        snapshot, settings = request.app[STORE].current, _settings(request)
        if self._snapshot() is not snapshot or self._settings != settings:
            self._snapshot, self._settings, self._given = ref(snapshot), settings, LRUCache(_MOST)
        return self._given.get(_question(request))

    def keep(self, request: web.Request, response: web.Response) -> None:
        """Remember an answer, unless another snapshot came while it was made."""
        if response.etag is not None and self._snapshot() is request.app[STORE].current:
            self._given[_question(request)] = _Given(response.etag.value, owners_shown(request))


GIVEN: Final = web.AppKey("given", GivenAnswers)


def of_snapshot(handler: Handler) -> Handler:
    """Make the handler of an answer that depends on the snapshot, the settings, the URL and the identity alone."""

    @functools.wraps(handler)
    async def answer(request: web.Request) -> web.Response:
        answers = request.app[GIVEN]
        given = answers.find(request)
        if given and has_answer(request, given.etag) and not _is_stale(request):
            audit(request, given.owners)
            return not_modified(given.etag)
        response = await handler(request)
        answers.keep(request, response)
        return response

    return answer


def _settings(request: web.Request) -> tuple[object, ...]:
    """Give what of the settings answers are made with; a reload puts others in their place."""
    settings = request.app[SETTINGS]
    return settings.rules, settings.software, settings.stored_names


def _question(request: web.Request) -> _Question:
    return request.raw_path, identity_of(request)


def _is_stale(request: web.Request) -> bool:
    """Tell whether the jobs of the cluster are too old by now to be answered with, though nothing new has come."""
    cluster = request.match_info.get("cluster")
    return cluster is not None and missing_accounting(request, request.app[STORE].current, cluster) is not None
