"""GET /api/v1/whoami."""

from aiohttp import web

from aggregator.api.envelope import success
from aggregator.api.identity import identity_of
from aggregator.api.keys import STORE
from aggregator.api.parameters import Parameters
from aggregator.api.representation import times
from aggregator.api.visibility import memberships


async def get_whoami(request: web.Request) -> web.Response:
    """Answer with who the service thinks the client is, and what that allows."""
    Parameters(request)
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
