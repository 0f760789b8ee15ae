"""Pages become HTML: templates, what each of them is given, and the headers under which they are sent."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import jinja2
from aiohttp import web
from markupsafe import Markup

from aggregator.api.identity import ANONYMOUS, Identity, find_identity
from aggregator.api.keys import SETTINGS, STORE
from aggregator.api.session import COOKIE
from aggregator.pages.language import CHOICE, LANGUAGES, Language
from aggregator.pages.numbers import Numbers
from aggregator.pages.static import address_of
from aggregator.pages.words import in_unit, states_of, words_of

_YEAR: Final = 366 * 86_400
_COMPRESS_IN_THREAD_ABOVE_BYTES: Final = 64 * 1024
_OF_SESSIONS: Final = frozenset({"token", "oidc"})


@dataclass(frozen=True, slots=True)
class Visit:
    """Who reads a page: the request, and the language that it is answered in."""

    request: web.Request
    language: Language

    @property
    def identity(self) -> Identity:
        """Give who it is; nobody known, where that could not be found out."""
        return find_identity(self.request) or ANONYMOUS

    @property
    def is_staff(self) -> bool:
        """Tell whether everything may be seen."""
        return self.identity.staff

    @property
    def numbers(self) -> Numbers:
        """Give what writes numbers in the reader's language."""
        return Numbers(self.language)

    @property
    def root(self) -> str:
        """Give the way from here to /: relative, so that it holds behind a proxy that serves all under a path."""
        return "../" * (self.request.rel_url.raw_path.count("/") - 1) or "./"

    def link(self, *parts: str) -> str:
        """Give the address of a page, whatever is in the names."""
        return self.root + "/".join(["ui", *(quote(part, safe="") for part in parts)])


def respond(visit: Visit, template: str, context: Mapping[str, Any], status: int = 200) -> web.Response:
    """Answer with a page."""
    text = environment(visit.language.code).get_template(template).render({**_of_all(visit), **context})
    response = web.Response(
        text=text, status=status, content_type="text/html", zlib_executor_size=_COMPRESS_IN_THREAD_ABOVE_BYTES
    )
    response.headers.update(headers_of(visit.request))
    response.headers["Content-Language"] = visit.language.code
    response.headers["Vary"] = "Accept-Encoding, Accept-Language, Authorization, Cookie"
    if visit.request.query.get(CHOICE) in LANGUAGES:
        response.set_cookie(CHOICE, visit.language.code, max_age=_YEAR, path="/", httponly=True, samesite="Lax")
    response.enable_compression()
    return response


def headers_of(request: web.Request) -> Mapping[str, str]:
    """Give the headers of all pages: what they load is this service's, and who may show them in a frame."""
    frames = " ".join(request.app[SETTINGS].origins.frame_ancestors) or "'none'"
    policy = (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        f"form-action 'self'; base-uri 'none'; frame-ancestors {frames}"
    )
    # With "no-referrer", a browser sends a form of ours without saying that it is ours.
    return {
        "Content-Security-Policy": policy, "Cache-Control": "private, no-cache", "Referrer-Policy": "same-origin",
    }  # fmt: skip


@functools.cache
def environment(code: str) -> jinja2.Environment:
    """Give what renders templates in one language; names that a template asks for and that are not there are errors."""
    from aggregator.pages.language import language

    spoken = language(code)
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("aggregator.pages"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.i18n", "jinja2.ext.do"], auto_reload=False,
    )  # fmt: skip
    made.install_gettext_callables(spoken.catalog.gettext, spoken.catalog.ngettext, newstyle=True)  # type: ignore[attr-defined]
    numbers = Numbers(spoken)
    for name in ("number", "count", "percent", "size", "watts", "energy", "grams", "rate", "duration", "gpu_hours",
                 "cpu_hours", "money", "moment", "listed"):  # fmt: skip
        made.filters[name] = getattr(numbers, name)
    made.globals.update(
        states=states_of(spoken), words=words_of(spoken), in_unit=in_unit(numbers), seconds_of=numbers.seconds
    )
    made.filters["said"] = lambda text: said(spoken, text)
    return made


def said(language: Language, text: str | None) -> Markup:
    """Show a sentence of the API: in the reader's language where it is known, else marked as English."""
    if not text:
        return Markup("")
    if language.knows(text):
        return Markup("{}").format(language(text))
    return Markup('<span lang="en">{}</span>').format(text)


def _of_all(visit: Visit) -> Mapping[str, Any]:
    """Give what every template has: where it is, who reads it, and what there is to go to."""
    snapshot = visit.request.app[STORE].current
    cluster = visit.request.match_info.get("cluster")
    return {
        "lang": visit.language.code,
        "languages": LANGUAGES,
        "root": visit.root,
        "link": visit.link,
        "address_of": lambda name: visit.root + address_of(name),
        "identity": visit.identity,
        "is_staff": visit.is_staff,
        "clusters": sorted(snapshot.clusters),
        "cluster": cluster if cluster in snapshot.clusters else next(iter(sorted(snapshot.clusters)), None),
        "has_storage": bool(snapshot.filesystems),
        "has_cloud": bool(snapshot.clouds),
        "version": visit.request.app[SETTINGS].version,
        "can_sign_in": visit.request.app[SETTINGS].ways.has_form,
        "has_session": COOKIE in visit.request.cookies and visit.identity.kind in _OF_SESSIONS,
        "refresh": None,
        "charted": False,
    }
