"""GET /api/v1/whoami."""

from typing import TypedDict

from aiohttp import web

from aggregator.api.answer import Epoch, Time
from aggregator.api.envelope import success
from aggregator.api.identity import identity_of
from aggregator.api.keys import STORE
from aggregator.api.representation import times
from aggregator.api.visibility import memberships


class WhoamiShown(TypedDict):
    """Who the client is, and what that allows."""

    kind: str
    name: str | None
    token_id: str | None
    user: str | None
    staff: bool
    scopes: list[str]
    accounts: dict[str, list[str]]
    expires_time: Time
    expires_timestamp_seconds: Epoch


async def get_whoami(request: web.Request) -> web.Response:
    """Answer with who the service thinks the client is, and what that allows."""
    identity = identity_of(request)
    clusters = request.app[STORE].current.clusters if identity.user else {}
    data = {
        "kind": identity.kind,
        "name": identity.name or None,
        "token_id": identity.token_id,
        "user": identity.user,
        "staff": identity.staff,
        "scopes": sorted(identity.scopes),
        "accounts": {name: sorted(memberships(view, identity.user)) for name, view in clusters.items()},
        **times("expires", identity.expires),
    }
    return success(request, data)
