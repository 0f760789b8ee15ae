"""Answers that are made of the snapshot: each is made once, and who has it already is told so."""

import functools
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Final
from weakref import ref

from aiohttp import web
from cachetools import LRUCache
from isal import igzip

from aggregator import executors
from aggregator.api.audit import audit, owners_shown
from aggregator.api.envelope import COMPRESS_ABOVE_BYTES, JSON, has_answer, identified, not_modified
from aggregator.api.identity import Identity, identity_of
from aggregator.api.keys import SETTINGS, STORE
from aggregator.api.lookup import missing_accounting
from aggregator.exposition import takes_gzip
from aggregator.model.view import Snapshot

# Of all answers together; beside its body an answer costs about this much.
_MOST_BYTES: Final = 16 * 2**20
_EACH_BYTES: Final = 4096
_LARGEST_BYTES: Final = 2**20
_LEVEL: Final = 1
# Of a response: what failed is read again when it is asked for again.
ONCE: Final = web.ResponseKey("once", bool)
_Question = tuple[str, Identity]
Handler = Callable[[web.Request], Awaitable[web.Response]]


@dataclass(slots=True)
class _Given:
    """An answer: its ETag, whose data are in it, its body, zipped when it is asked for again.

    The body is None of an answer that the client had, or that is too large to be kept.
    """

    etag: str
    owners: Collection[str]
    body: bytes | None
    zipped: bytes | None = None

    @property
    def size(self) -> int:
        """Give what it may come to take."""
        return _EACH_BYTES + 2 * len(self.body or b"")


class GivenAnswers:
    """Remember the answers that were made of the current snapshot under the current settings, by URL and identity."""

    def __init__(self) -> None:
        # Weak: nobody may ever ask again, and an old snapshot is large.
        self._snapshot: Callable[[], Snapshot | None] = lambda: None
        self._settings: tuple[object, ...] = ()
        self._given = _no_answers()

    def find(self, request: web.Request) -> _Given | None:
        """Give what is remembered of a request; what was made of another snapshot is forgotten."""
        snapshot, settings = request.app[STORE].current, _settings(request)
        if self._snapshot() is not snapshot or self._settings != settings:
            self._snapshot, self._settings, self._given = ref(snapshot), settings, _no_answers()
        return self._given.get(_question(request))

    def forget(self) -> None:
        """Make every answer anew: what they read besides the snapshot has changed."""
        self._given = _no_answers()

    def keep(self, request: web.Request, response: web.Response) -> None:
        """Remember an answer, unless another snapshot came while it was made."""
        if response.etag is None or response.get(ONCE) or self._snapshot() is not request.app[STORE].current:
            return
        body = response.body if isinstance(response.body, bytes) and len(response.body) <= _LARGEST_BYTES else None
        self._given[_question(request)] = _Given(response.etag.value, owners_shown(request), body)


def _no_answers() -> "LRUCache[_Question, _Given]":
    return LRUCache(_MOST_BYTES, getsizeof=lambda given: given.size)


GIVEN: Final = web.AppKey("given", GivenAnswers)


def of_snapshot(handler: Handler) -> Handler:
    """Make the handler of an answer that depends on the snapshot, the settings, the URL and the identity alone.

    What it reads besides may be as old as the snapshot.
    """

    @functools.wraps(handler)
    async def answer(request: web.Request) -> web.Response:
        answers = request.app[GIVEN]
        given = answers.find(request)
        if given and not _is_stale(request):
            is_had = has_answer(request, given.etag)
            if is_had or given.body is not None:
                audit(request, given.owners)
                return not_modified(given.etag) if is_had else await _again(request, given)
        response = await handler(request)
        answers.keep(request, response)
        return response

    return answer


async def _again(request: web.Request, given: _Given) -> web.Response:
    """Give an answer again, compressed if the client takes that."""
    body, headers = given.body or b"", {"Content-Type": JSON}
    if len(body) > COMPRESS_ABOVE_BYTES and takes_gzip(request):
        if given.zipped is None:
            given.zipped = await executors.run(executors.ANSWERS, igzip.compress, body, _LEVEL)
        body, headers["Content-Encoding"] = given.zipped, "gzip"
    return identified(web.Response(body=body, headers=headers), given.etag)


def _settings(request: web.Request) -> tuple[object, ...]:
    """Give what of the settings answers are made with; a reload puts others in their place."""
    settings = request.app[SETTINGS]
    return settings.rules, settings.software


def _question(request: web.Request) -> _Question:
    return request.raw_path, identity_of(request)


def _is_stale(request: web.Request) -> bool:
    """Tell whether the jobs of the cluster are too old by now to be answered with, though nothing new has come."""
    cluster = request.match_info.get("cluster")
    return cluster is not None and missing_accounting(request, request.app[STORE].current, cluster) is not None
