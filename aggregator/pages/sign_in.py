"""GET and POST /ui/sign-in, POST /ui/sign-out: a token becomes a session. The form also leads to the issuer."""

from typing import Final
from urllib.parse import parse_qs, quote

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
START: Final = f"{PATH}/start"
FIRST_PAGE: Final = "/"


async def get_form(request: web.Request) -> web.StreamResponse:
    """Answer with the form."""
    return form_of(request, "", FIRST_PAGE)


async def post_form(request: web.Request) -> web.StreamResponse:
    """Begin a session, and lead on to the page that was asked for; a page of another site cannot send this form."""
    tokens = request.app[SETTINGS].ways.tokens
    if tokens is None:
        raise NotFound("auth.tokens is not configured: nobody can sign in by a token")
    fields = await _fields(request)
    to = fields.get("to", FIRST_PAGE)
    try:
        cookie, entry = await begin(tokens, fields.get("token", "").strip(), request.app[CLOCK]())
    except InvalidToken as error:
        audit_refusal(request, str(error))
        return form_of(request, str(error), to, 401)
    set_identity(request, token_identity(entry))
    audit_change(request, "session", "signed in")
    return session_begun(request, to, cookie)


async def post_end(request: web.Request) -> web.StreamResponse:
    """End the session of this browser."""
    audit_change(request, "session", "signed out")
    return session_begun(request, FIRST_PAGE, "")


def form_of(request: web.Request, failure: str, to: str, status: int = 200, said: str = "") -> web.Response:
    """Show the form, and why the last try failed; afterwards the reader is led to a path of this service.

    What is `said` is in the reader's language, the failure is in English.
    """
    visit, ways = Visit(request, language_of(request)), request.app[SETTINGS].ways
    context = {
        "title": visit.language("Please sign in"), "said": said, "text": failure, "to": to,
        "issuer": ways.single_sign_on.host if ways.single_sign_on else None, "start": _start_of(request, to),
        "takes_tokens": ways.tokens is not None,
    }  # fmt: skip
    response = respond(visit, _TEMPLATE, context, status)
    response.headers["Cache-Control"] = "no-store"
    return response


def _start_of(request: web.Request, to: str) -> str:
    """Give where to begin at the issuer: on the address to which it leads back, for there the cookie has to be."""
    return f"{request.app[SETTINGS].external_url.rstrip('/')}{START}?to={quote(to, safe='')}"


async def _fields(request: web.Request) -> dict[str, str]:
    if request.content_type != _FORM:
        raise UnsupportedMediaType(f"Content-Type: must be {_FORM}")
    body = await read_body(request, 1)
    given = parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
    return {name: values[0] for name, values in given.items()}


def session_begun(request: web.Request, to: str, cookie: str) -> web.Response:
    """Lead on with the cookie of a session, or without one, to a page of this service."""
    # Relative, and so always a path of this service, whatever the form says.
    root = Visit(request, language_of(request)).root
    place = root + "".join(filter(str.isprintable, to)).lstrip("/\\")
    response = web.Response(status=303, headers={"Location": place, "Cache-Control": "no-store"})
    keep(request, response, COOKIE, cookie, SECONDS)
    return response


def keep(request: web.Request, response: web.Response, name: str, cookie: str, seconds: float) -> None:
    """Let the browser keep a cookie, which no script and no other site can use; "" ends it."""
    response.set_cookie(
        name, cookie, max_age=int(seconds) if cookie else 0, path="/", httponly=True, samesite="Lax",
        secure=request.secure or request.app[SETTINGS].external_url.startswith("https://"),
    )  # fmt: skip


LANGUAGE: Final = Parameter(name=CHOICE, help="The language, which the browser then remembers.")
SIGN_IN: Final = (
    Route(path=PATH, handler=get_form, area=DOOR, parameters=(LANGUAGE,), media="text/html"),
    Route(method="POST", path=PATH, handler=post_form, area=DOOR, media="text/html"),
    Route(method="POST", path="/ui/sign-out", handler=post_end, area=DOOR, media="text/html"),
)
