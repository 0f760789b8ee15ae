"""Answers that are made of the snapshot: each is made once, and who has it already is told so."""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final
from weakref import ref

from aiohttp import web
from cachetools import LRUCache
from isal import igzip

from aggregator import executors
from aggregator.api.audit import audit, owners_shown, unread
from aggregator.api.envelope import COMPRESS_ABOVE_BYTES, JSON, has_answer, identified, not_modified
from aggregator.api.errors import ApiError
from aggregator.api.identity import Identity, identity_of
from aggregator.api.keys import STORE, ApiSettings
from aggregator.api.lookup import missing_accounting
from aggregator.exposition import takes_gzip
from aggregator.model.view import Snapshot, SourceStatus
from aggregator.refresh.store import Scope, SnapshotStore
from aggregator.sources.base import FetchError

# Of all answers together; beside its body an answer costs about this much.
_MOST_BYTES: Final = 16 * 2**20
_EACH_BYTES: Final = 4096
_LARGEST_BYTES: Final = 2**20
_LEVEL: Final = 1
# Answers that are made anew before anybody asks: as long as somebody has asked lately, and each within its time.
_MOST_AHEAD: Final = 16
_WANTED_SECONDS: Final = 60.0
_AHEAD_SECONDS: Final = 5.0
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


class _OfCluster:
    """Remember the answers that were made of one cluster's current view, or ("") of all that there is.

    What was asked for again is made anew as soon as there is a new view, by nobody's request: the first who asks after
    a refresh need not wait for it.
    """

    def __init__(self, cluster: str, store: SnapshotStore, settings: ApiSettings) -> None:
        self._cluster = cluster
        self._store = store
        self._settings = settings
        # Weak: nobody may ever ask again, and an old snapshot is large.
        self._snapshot: Callable[[], Snapshot | None] = lambda: None
        self._made_of: tuple[object, ...] = ()
        self._given = _no_answers()
        self._making: dict[_Question, asyncio.Future[_Given | None]] = {}
        # What was asked for again lately, how it is made, and when that was.
        self._wanted: dict[_Question, tuple[web.Request, Handler, float]] = {}
        self._ahead: asyncio.Task[None] | None = None

    def find(self, request: web.Request) -> _Given | None:
        """Give what is remembered of a request; what was made of something else than there is now is forgotten."""
        self._look()
        return self._given.get(_question(request))

    def _look(self) -> None:
        """Forget what was made of something else than there is now."""
        snapshot, in_force = self._store.current, (self._settings.rules, self._settings.software)
        if self._snapshot() is snapshot and self._made_of[:2] == in_force:
            return
        made_of = (*in_force, self._edition(), *(_said(each, snapshot) for each in self._sources(snapshot)))
        # What is shown in place of a late view is never the same.
        if made_of != self._made_of or snapshot is not self._store.latest:
            self.forget()
        self._snapshot, self._made_of = ref(snapshot), made_of

    def _edition(self) -> int:
        editions = self._store.editions
        return editions["cluster", self._cluster] if self._cluster else editions.total()

    def _sources(self, snapshot: Snapshot) -> list[SourceStatus]:
        every = (status for _, status in sorted(snapshot.sources.items()))
        return [status for status in every if not self._cluster or status.scope == self._cluster]

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
            self._look()
            if all_making is self._making:
                self._keep(question, given)
            return answer
        finally:
            making.set_result(given)
            if all_making[question] is making:
                del all_making[question]

    def want(self, request: web.Request, handler: Handler) -> None:
        """Note that an answer is asked for which is there already: the last that was noted stands last."""
        question = _question(request)
        wanted = self._wanted.pop(question, None)
        if wanted or len(self._wanted) < _MOST_AHEAD:
            self._wanted[question] = (wanted[0] if wanted else unread(request)), handler, time.monotonic()

    def look_ahead(self) -> None:
        """Begin to make anew what is wanted, once there is a new view."""
        if self._ahead:
            self._ahead.cancel()
            self._ahead = None
        oldest = time.monotonic() - _WANTED_SECONDS
        self._wanted = {question: wanted for question, wanted in self._wanted.items() if wanted[2] > oldest}
        if self._wanted:
            self._look()
            self._ahead = asyncio.ensure_future(self._make_ahead())

    async def _make_ahead(self) -> None:
        """Make answers one after the other, each within its time; what fails is tried by whoever asks."""
        for question, (request, handler, _) in reversed(list(self._wanted.items())):
            if question not in self._given and question not in self._making:
                with suppress(ApiError, FetchError, TimeoutError):
                    async with asyncio.timeout(_AHEAD_SECONDS):
                        await self.make(unread(request), handler)

    def close(self) -> None:
        """End what is being made for nobody yet."""
        if self._ahead:
            self._ahead.cancel()

    def forget(self) -> None:
        """Make every answer anew: what they read besides the snapshot has changed."""
        self._given, self._making = _no_answers(), {}

    def _keep(self, question: _Question, given: _Given) -> None:
        is_large = len(given.body or b"") > _LARGEST_BYTES
        self._given[question] = replace(given, body=None, zipped=None) if is_large else given


class GivenAnswers:
    """Remember the answers that were made of the current snapshot under the current settings, by URL and identity."""

    def __init__(self, store: SnapshotStore, settings: ApiSettings) -> None:
        self._store = store
        self._settings = settings
        self._of: dict[str, _OfCluster] = {}
        store.watchers.append(self._look_ahead)

    def of(self, request: web.Request) -> _OfCluster:
        """Give those of the cluster in the path, which depend on nothing else; else of all that there is."""
        named = request.match_info.get("cluster", "")
        cluster = named if named in self._store.latest.clusters else ""
        if cluster not in self._of:
            self._of[cluster] = _OfCluster(cluster, self._store, self._settings)
        return self._of[cluster]

    def forget(self) -> None:
        """Make every answer anew: what they read besides the snapshot has changed."""
        for each in self._of.values():
            each.forget()

    def _look_ahead(self, scope: Scope) -> None:
        """Have answers made of a new view."""
        kind, name = scope
        for cluster, each in self._of.items():
            if not cluster or (kind, name) == ("cluster", cluster):
                each.look_ahead()

    async def close(self, _: web.Application) -> None:
        """End what is being made for nobody yet."""
        self._store.watchers.remove(self._look_ahead)
        for each in self._of.values():
            each.close()


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
        answers = request.app[GIVEN].of(request)
        given = answers.find(request) or await answers.coming(request)
        if given and not _is_stale(request):
            is_had = has_answer(request, given.etag)
            if is_had or given.body is not None:
                answers.want(request, handler)
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


def _said(status: SourceStatus, snapshot: Snapshot) -> tuple[object, ...]:
    """Give what answers say of a source. When it was read last they say of file systems and clouds alone.

    Each fetch has a status of its own, and a refresh several: answers made of the same view are the same.
    """
    was_read = status.last_success is not None and status.last_success == status.last_attempt
    failed = tuple(sorted(status.failed_inputs.items()))
    at = None if was_read and status.scope in snapshot.clusters else status.last_success
    return status.source, status.scope, status.up, was_read, status.error, failed, at


def _question(request: web.Request) -> _Question:
    return request.raw_path, identity_of(request)


def _is_stale(request: web.Request) -> bool:
    """Tell whether the jobs of the cluster are too old by now to be answered with, though nothing new has come."""
    cluster = request.match_info.get("cluster")
    return cluster is not None and missing_accounting(request, request.app[STORE].current, cluster) is not None
