"""A line in the log for each look at somebody else's data, each change, and each refusal."""

import logging
from collections.abc import Iterable
from typing import Final

from aiohttp import web

from aggregator.api.identity import Identity, identity_of

# A name of its own, so that a site can keep these lines apart.
logger = logging.getLogger("aggregator.audit")
_SHOWN = 10
_LONGEST = 500
_OWNERS: Final = web.RequestKey("owners", frozenset[str])
_UNREAD: Final = web.RequestKey("unread", bool)


def audit(request: web.Request, owners: Iterable[str]) -> None:
    """Log that the identity was shown what belongs to others than itself; where nobody is known, so is no reader.

    What is read of the same owners for one request is told once.
    """
    identity, told = identity_of(request), owners_shown(request)
    shown = frozenset(owners)
    request[_OWNERS] = told | shown
    if identity.kind == "open" or request.get(_UNREAD, False):
        return
    if others := sorted(shown - told - {identity.user}):
        more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        logger.info("read: who=%r path=%r whose=%r%s", str(identity), request.path, others[:_SHOWN], more)


def unread(request: web.Request) -> web.Request:
    """Give a request for the same, under the same rights, whose answer nobody reads yet: without the client's headers.

    It is the reader's own request that is logged.
    """
    encoding = request.headers.get("Accept-Encoding")
    same = request.clone(headers={"Accept-Encoding": encoding} if encoding else {})
    same[_OWNERS], same[_UNREAD] = frozenset(), True
    return same


def owners_shown(request: web.Request) -> frozenset[str]:
    """Give whose data the answer to a request was said to show."""
    owners: frozenset[str] = request.get(_OWNERS, frozenset())
    return owners


def audit_change(request: web.Request, what: str, outcome: str) -> None:
    """Log that somebody changed something, or tried to; also where nobody is known. what and outcome are words."""
    logger.info(
        "change: who=%r from=%r path=%r what=%r outcome=%r",
        str(identity_of(request)), request.remote, request.path, what, outcome[:_LONGEST],
    )  # fmt: skip


def audit_signal(name: str, what: str) -> None:
    """Log that root, or the service's own user, asked for something by a signal."""
    logger.info("change: who=%r what=%r outcome='asked for'", f"signal {name}", what)


def audit_refusal(request: web.Request, why: str, identity: Identity | None = None) -> None:
    """Log that credentials were refused, or what a known identity asked for; why holds no secret."""
    who = str(identity) if identity else "unknown"
    logger.info(
        "refused: who=%r from=%r method=%s path=%r why=%r", who, request.remote, request.method, request.path, why
    )
