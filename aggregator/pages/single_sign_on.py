"""GET /ui/sign-in/start and …/callback: to the issuer, and back with a session."""

from typing import Final

from aiohttp import web

from aggregator.api.areas import DOOR
from aggregator.api.audit import audit_change, audit_refusal
from aggregator.api.errors import ApiError, Forbidden, InvalidToken, NotFound, Unavailable
from aggregator.api.identity import set_identity
from aggregator.api.keys import CLOCK, SETTINGS
from aggregator.api.oidc import BEGUN_SECONDS, CALLBACK, Begun, NotBegun, SingleSignOn
from aggregator.api.route import Parameter, Route
from aggregator.pages.language import Language, language_of
from aggregator.pages.sign_in import FIRST_PAGE, LANGUAGE, PATH, START, form_of, keep, session_begun

COOKIE: Final = "hpca_sign_in"


async def get_start(request: web.Request) -> web.StreamResponse:
    """Lead to the issuer."""
    sign_on, to = _configured(request), request.query.get("to", FIRST_PAGE)
    # Who signs in wants to go somewhere else.
    to = FIRST_PAGE if PATH.lstrip("/") in to else to
    try:
        place, cookie = await sign_on.begin(to, request.app[CLOCK]())
    except Unavailable as error:
        return _failed(request, sign_on, error, to)
    response = web.Response(status=303, headers={"Location": place, "Cache-Control": "no-store"})
    keep(request, response, COOKIE, cookie, BEGUN_SECONDS)
    return response


async def get_callback(request: web.Request) -> web.StreamResponse:
    """Begin a session for whom the issuer has sent back, and lead on to the page that was asked for."""
    sign_on, now = _configured(request), request.app[CLOCK]()
    try:
        begun = await sign_on.begun(request.cookies.get(COOKIE), request.query.get("state", ""), now)
    except (NotBegun, Unavailable) as error:
        return _failed(request, sign_on, error, FIRST_PAGE)
    response = await _ended(request, sign_on, begun, now)
    # What was begun ends once.
    keep(request, response, COOKIE, "", 0)
    return response


async def _ended(request: web.Request, sign_on: SingleSignOn, begun: Begun, now: float) -> web.Response:
    try:
        identity, cookie = await sign_on.finish(begun, request.query, now)
    except (Forbidden, InvalidToken, Unavailable) as error:
        return _failed(request, sign_on, error, begun.to)
    set_identity(request, identity)
    audit_change(request, "session", "signed in")
    return session_begun(request, begun.to, cookie)


def _configured(request: web.Request) -> SingleSignOn:
    sign_on = request.app[SETTINGS].ways.single_sign_on
    if sign_on is None:
        raise NotFound("auth.oidc is not configured: nobody can sign in at an issuer")
    return sign_on


def _failed(request: web.Request, sign_on: SingleSignOn, error: ApiError, to: str) -> web.Response:
    """Say why nobody has signed in, beside the other ways; what is wrong between servers is for the log."""
    audit_refusal(request, str(error))
    said = _words(language_of(request), error, sign_on.host)
    return form_of(request, "" if isinstance(error, Unavailable) else str(error), to, error.status, said)


def _words(_: Language, error: ApiError, issuer: str) -> str:
    if isinstance(error, NotBegun):
        return _("This sign-in was not begun in this browser, or too long ago. Please begin again.")
    if isinstance(error, Unavailable):
        return _("Nobody can be signed in by %(issuer)s now. Try again in a moment.", issuer=issuer)
    return _("You are not signed in: what %(issuer)s has answered does not let you in.", issuer=issuer)


_TO: Final = Parameter(name="to", help="The page to which the reader is led then.")
SINGLE_SIGN_ON: Final = (
    Route(path=START, handler=get_start, area=DOOR, parameters=(_TO, LANGUAGE), media="text/html"),
    Route(path=CALLBACK, handler=get_callback, area=DOOR, media="text/html", takes_any=True),
)
