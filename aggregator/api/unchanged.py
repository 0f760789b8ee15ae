"""Answers that are made of the snapshot: each is made once, and who has it already is told so."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace
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
        self._making: dict[_Question, asyncio.Future[_Given | None]] = {}

    def find(self, request: web.Request) -> _Given | None:
        """Give what is remembered of a request; what was made of another snapshot is forgotten."""
        snapshot, settings = request.app[STORE].current, _settings(request)
        if self._snapshot() is not snapshot or self._settings != settings:
            self._snapshot, self._settings = ref(snapshot), settings
            self.forget()
        return self._given.get(_question(request))

    async def coming(self, request: web.Request) -> _Given | None:
        """Wait for the answer if another request is having it made; None if there is none, or it cannot be shared."""
        making = self._making.get(_question(request))
        return await asyncio.shield(making) if making else None

    async def make(self, request: web.Request, handler: Handler) -> web.Response:
        """Have an answer made, and share it with those who ask for the same meanwhile."""
        question, making = _question(request), asyncio.get_running_loop().create_future()
        all_making, given = self._making, None
        all_making[question] = making
        try:
            response = await handler(request)
            if response.etag is None or response.get(ONCE):
                return response
            given = _Given(response.etag.value, owners_shown(request), _body(response))
            answer = response if given.body is None else await _again(request, given)
            # Neither another snapshot nor something new came while it was made.
            if all_making is self._making and self._snapshot() is request.app[STORE].current:
                self._keep(question, given)
            return answer
        finally:
            making.set_result(given)
            if all_making[question] is making:
                del all_making[question]

    def forget(self) -> None:
        """Make every answer anew: what they read besides the snapshot has changed."""
        self._given, self._making = _no_answers(), {}

    def _keep(self, question: _Question, given: _Given) -> None:
        is_large = len(given.body or b"") > _LARGEST_BYTES
        self._given[question] = replace(given, body=None, zipped=None) if is_large else given


def _body(response: web.Response) -> bytes | None:
    return response.body if isinstance(response.body, bytes) else None


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
        given = answers.find(request) or await answers.coming(request)
        if given and not _is_stale(request):
            is_had = has_answer(request, given.etag)
            if is_had or given.body is not None:
                audit(request, given.owners)
                return not_modified(given.etag) if is_had else await _again(request, given)
        return await answers.make(request, handler)

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
