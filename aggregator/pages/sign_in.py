"""GET and POST /ui/sign-in, POST /ui/sign-out: a token becomes a session."""

from typing import Final
from urllib.parse import parse_qs

from aiohttp import web

from aggregator.api.areas import DOOR
from aggregator.api.audit import audit_change, audit_refusal
from aggregator.api.body import read_body
from aggregator.api.errors import InvalidToken, NotFound, UnsupportedMediaType
from aggregator.api.identity import set_identity, token_identity
from aggregator.api.keys import CLOCK, SETTINGS
from aggregator.api.route import Parameter, Route
from aggregator.api.session import COOKIE, SECONDS, begin
from aggregator.pages.language import CHOICE, language_of
from aggregator.pages.render import Visit, respond

PATH: Final = "/ui/sign-in"
_FORM: Final = "application/x-www-form-urlencoded"
_TEMPLATE: Final = "sign_in.html"
_FIRST_PAGE: Final = "/"


async def get_form(request: web.Request) -> web.StreamResponse:
    """Answer with the form."""
    return form_of(request, "", _FIRST_PAGE)


async def post_form(request: web.Request) -> web.StreamResponse:
    """Begin a session, and lead on to the page that was asked for; a page of another site cannot send this form."""
    tokens = request.app[SETTINGS].ways.tokens
    if tokens is None:
        raise NotFound("auth.tokens is not configured: nobody can sign in by a token")
    fields = await _fields(request)
    to = fields.get("to", _FIRST_PAGE)
    try:
        cookie, entry = await begin(tokens, fields.get("token", "").strip(), request.app[CLOCK]())
    except InvalidToken as error:
        audit_refusal(request, str(error))
        return form_of(request, str(error), to, 401)
    set_identity(request, token_identity(entry))
    audit_change(request, "session", "signed in")
    return _led_to(request, to, cookie)


async def post_end(request: web.Request) -> web.StreamResponse:
    """End the session of this browser."""
    audit_change(request, "session", "signed out")
    return _led_to(request, _FIRST_PAGE, "")


def form_of(request: web.Request, failure: str, to: str, status: int = 200) -> web.Response:
    """Show the form, and why the last try failed; afterwards the reader is led to a path of this service."""
    visit = Visit(request, language_of(request))
    title = visit.language("Please sign in")
    response = respond(visit, _TEMPLATE, {"title": title, "text": failure, "to": to}, status)
    response.headers["Cache-Control"] = "no-store"
    return response


async def _fields(request: web.Request) -> dict[str, str]:
    if request.content_type != _FORM:
        raise UnsupportedMediaType(f"Content-Type: must be {_FORM}")
    body = await read_body(request, 1)
    given = parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
    return {name: values[0] for name, values in given.items()}


def _led_to(request: web.Request, to: str, cookie: str) -> web.Response:
    # Relative, and so always a path of this service, whatever the form says.
    root = Visit(request, language_of(request)).root
    place = root + "".join(filter(str.isprintable, to)).lstrip("/\\")
    response = web.Response(status=303, headers={"Location": place, "Cache-Control": "no-store"})
    is_secure = request.secure or request.app[SETTINGS].external_url.startswith("https://")
    response.set_cookie(
        COOKIE, cookie, max_age=int(SECONDS) if cookie else 0, path="/", httponly=True, samesite="Lax",
        secure=is_secure,
    )  # fmt: skip
    return response


_LANGUAGE: Final = Parameter(name=CHOICE, help="The language, which the browser then remembers.")
SIGN_IN: Final = (
    Route(path=PATH, handler=get_form, area=DOOR, parameters=(_LANGUAGE,), media="text/html"),
    Route(method="POST", path=PATH, handler=post_form, area=DOOR, media="text/html"),
    Route(method="POST", path="/ui/sign-out", handler=post_end, area=DOOR, media="text/html"),
)
