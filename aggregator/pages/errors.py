"""Errors of pages are pages: they say what is wrong and what to do, and ask for an identity where one is missing."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from aggregator.api.keys import SETTINGS
from aggregator.pages.language import Language, language_of
from aggregator.pages.render import Visit, respond
from aggregator.pages.sign_in import form_of

_NO_STORE: Final = "no-store"


def error_page(request: web.Request, status: int, text: str, headers: Mapping[str, str]) -> web.Response:
    """Show an error; `text` is what the API would say."""
    if status == web.HTTPUnauthorized.status_code:
        return _sign_in(request, text, headers)
    visit = Visit(request, language_of(request))
    title, advice = _words(visit.language, status)
    context = {"status": status, "title": title, "text": text, "advice": advice}
    response = respond(visit, "error.html", context, status)
    response.headers.update({**headers, "Cache-Control": _NO_STORE})
    return response


def _sign_in(request: web.Request, text: str, headers: Mapping[str, str]) -> web.Response:
    """Ask for an identity, in the place of the page; who has shown none is told by the form alone."""
    is_wrong = "error=" in headers.get("WWW-Authenticate", "") or not request.app[SETTINGS].ways.has_form
    response = form_of(request, text if is_wrong else "", request.rel_url.raw_path, 401)
    response.headers.update(headers)
    return response


def _words(_: Language, status: int) -> tuple[str, str]:
    """Give what has happened, and what the reader can do."""
    again = _("Try again in a moment.")
    known = {
        400: (_("This address has a mistake"), _("Correct it, or go back.")),
        403: (_("This is not open to you"), _("Ask the staff of your site if you need it.")),
        404: (
            _("This is not here"),
            _("It may not exist, or not be yours: the service does not say which. Check the number or the name."),
        ),
        429: (_("Too many requests"), again),
        503: (_("A source does not answer"), _("What it knows cannot be shown now. The page of the status says more.")),
        504: (_("This took too long"), again),
    }
    return known.get(status, (_("Something went wrong"), _("The log of the service says more.")))
