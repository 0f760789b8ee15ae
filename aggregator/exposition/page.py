"""The page that a scrape gets: members put together, never rendered or compressed for a request."""

import re
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from isal import igzip
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as CONTENT_TYPE_OPENMETRICS

from aggregator import executors
from aggregator.engine.column import Listing
from aggregator.engine.exposition import Member, compress, head
from aggregator.exposition.own import OwnFamilies

SERVICE_GROUP = "service"
_OPENMETRICS = re.compile(r"application/openmetrics-text\s*;[^,]*version=(?:1\.0\.0|0\.0\.1)")
_GZIP_REFUSED = re.compile(r"gzip\s*;\s*q=0(?:\.0*)?\s*(?:,|$)")
_END = compress(b"# EOF\n")
# After each write the event loop waits for its turn among the threads that compute.
_WRITE_BYTES = 256 * 1024
_DECOMPRESS_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class _Scope:
    """The members of one cluster, file system or cloud by family."""

    members: Mapping[str, Member]


class Page:
    """Serve `/metrics` from compressed members of these families; the service's `own` families come last.

    is_late tells at each scrape of which scopes the members are too old to be shown.
    """

    def __init__(
        self,
        own: Sequence[OwnFamilies[Any]],
        families: Sequence[Listing],
        is_late: Callable[[tuple[str, str]], bool] = lambda scope: False,
    ) -> None:
        self._own = own
        self._listed = families
        self._is_late = is_late
        self._scopes: dict[tuple[str, str], _Scope] = {}
        self._heads = {
            (family.name, openmetrics): head(family, openmetrics)
            for family in families
            for openmetrics in (False, True)
        }

    @property
    def groups(self) -> frozenset[str]:
        """Give the groups of families by which an answer can be limited."""
        return frozenset(family.collect for family in self._listed) | {SERVICE_GROUP}

    def publish(self, scope: tuple[str, str], members: Mapping[str, Member]) -> None:
        """Replace the members of one scope, such as ("cluster", "narval")."""
        self._scopes[scope] = _Scope(members)

    def keep_only(self, clusters: Collection[str], filesystems: Collection[str], clouds: Collection[str] = ()) -> None:
        """Forget the members of clusters, file systems and clouds that are not configured any more."""
        configured = {"cluster": clusters, "filesystem": filesystems, "cloud": clouds}
        kept = {(kind, name) for kind, names in configured.items() for name in names}
        self._scopes = {scope: members for scope, members in self._scopes.items() if scope in kept}

    def series(self) -> Mapping[str, int]:
        """Count the series on the page by family."""
        counts: dict[str, int] = {}
        for scope in self._shown():
            for name, member in scope.members.items():
                counts[name] = counts.get(name, 0) + member.series
        return counts

    def folded(self) -> Mapping[str, int]:
        """Count what has no series of its own because of the budget, by the families in which it would have one."""
        counts: dict[str, int] = {}
        for scope in self._shown():
            for name, member in scope.members.items():
                if member.folded:
                    counts[name] = counts.get(name, 0) + member.folded
        return counts

    async def respond(self, request: web.Request, groups: frozenset[str] | None) -> web.StreamResponse:
        """Answer a scrape: text or OpenMetrics, gzip or identity, all groups or those named."""
        openmetrics = bool(_OPENMETRICS.search(request.headers.get("Accept", "")))
        response = web.StreamResponse(
            headers={
                "Content-Type": CONTENT_TYPE_OPENMETRICS if openmetrics else CONTENT_TYPE_PLAIN_0_0_4,
                "Vary": "Accept, Accept-Encoding",
            }
        )
        # All of it is of one moment: no await before it is put together.
        members = list(self._families(groups, openmetrics))
        if groups is None or SERVICE_GROUP in groups:
            members += [families.member(openmetrics) for families in self._own]
        members += [_END] if openmetrics else []
        if takes_gzip(request):
            response.headers["Content-Encoding"] = "gzip"
            return await _send(request, response, members or [compress(b"")])
        return await _stream(request, response, members)

    def _families(self, groups: frozenset[str] | None, openmetrics: bool) -> Iterable[bytes]:
        scopes = self._shown()
        for family in self._listed:
            if groups is None or family.collect in groups:
                found = [scope.members[family.name] for scope in scopes if family.name in scope.members]
                if found:
                    yield self._heads[family.name, openmetrics]
                for member in found:
                    yield from member.pieces

    def _shown(self) -> Sequence[_Scope]:
        return [members for scope, members in self._scopes.items() if not self._is_late(scope)]


def takes_gzip(request: web.Request) -> bool:
    """Tell whether the client takes a compressed body."""
    encoding = request.headers.get("Accept-Encoding", "")
    return "gzip" in encoding and not _GZIP_REFUSED.search(encoding)


async def _send(request: web.Request, response: web.StreamResponse, parts: list[bytes]) -> web.StreamResponse:
    response.content_length = sum(map(len, parts))
    await response.prepare(request)
    if request.method != "HEAD":
        for batch in _batches(parts, _WRITE_BYTES):
            await _write(response, batch)
    await response.write_eof()
    return response


async def _write(response: web.StreamResponse, part: bytes) -> None:
    """Write in slices: of what its client does not read, a connection holds no more than some of them."""
    for begin in range(0, len(part), _WRITE_BYTES):
        await response.write(memoryview(part)[begin : begin + _WRITE_BYTES])


async def _stream(request: web.Request, response: web.StreamResponse, members: list[bytes]) -> web.StreamResponse:
    """Send the page as identity, some members decompressed at a time: the whole would be ten times the memory."""
    await response.prepare(request)
    if request.method != "HEAD":
        async for part in _decompressed(members):
            await _write(response, part)
    await response.write_eof()
    return response


async def _decompressed(members: Iterable[bytes]) -> AsyncIterator[bytes]:
    for batch in _batches(members, _DECOMPRESS_BYTES):
        yield await executors.run(executors.ANSWERS, igzip.decompress, batch)


def _batches(members: Iterable[bytes], most: int) -> Iterator[bytes]:
    """Put small members together: a write or a thread for each of hundreds costs more than what they do."""
    batch, size = list[bytes](), 0
    for member in members:
        if batch and size + len(member) > most:
            yield b"".join(batch)
            batch, size = [], 0
        batch.append(member)
        size += len(member)
    if batch:
        yield b"".join(batch)
