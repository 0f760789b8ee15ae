"""A line in the log for each look at somebody else's data."""

import logging
from collections.abc import Iterable

from aiohttp import web

from aggregator.api.identity import identity_of

# A name of its own, so that a site can keep these lines apart.
logger = logging.getLogger("aggregator.audit")
_SHOWN = 10


def audit(request: web.Request, owners: Iterable[str]) -> None:
    """Log that the identity was shown what belongs to others than itself; where nobody is known, so is no reader."""
    identity = identity_of(request)
    others = sorted(set(owners) - {identity.user})
    if others and identity.kind != "open":
        more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        logger.info("read: who=%r path=%r whose=%r%s", str(identity), request.path, others[:_SHOWN], more)
