"""Errors of the API, and the boundary at which every exception becomes an answer.

ApiError
├── BadData        400  a parameter or an id is wrong
├── Unauthorized   401  nobody is known to ask
│   └── InvalidToken    the token is wrong, revoked, or has expired
├── Forbidden      403  somebody asks for what is not theirs
├── NotFound       404  there is no such thing
├── SlowBody       408  the body of the request did not come in time
├── TooLarge       413  the body is larger than allowed
├── UnsupportedMediaType 415  the body is of another kind
├── Misdirected    421  the name that was asked for is not one of this service
├── Execution      422  understood, but cannot be computed
├── RateLimited    429  this identity, or address, asks too often
├── Unavailable    503  the source that is needed does not answer
│   └── Busy            too much is asked at once
└── Timeout        504  it took too long
"""

import logging
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import ClassVar

from aiohttp import web
from aiohttp.typedefs import Handler

from aggregator.api.envelope import failure
from aggregator.sources.base import FetchError

logger = logging.getLogger(__name__)

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
# Shows an error to people: of a request, its status, what is said, and headers.
ErrorPage = Callable[[web.Request, int, str, Mapping[str, str]], web.Response]
ERROR_PAGE = web.AppKey[ErrorPage]("error_page")
_PAGES = "/ui/"
_TEXT_PATHS = frozenset({"/", "/metrics"})
_TYPES = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "unsupported_media_type"}


class ApiError(Exception):
    """An error that is the answer; its text is shown to the client."""

    status: ClassVar[int]
    error_type: ClassVar[str]
    headers: Mapping[str, str] = _NO_HEADERS


class BadData(ApiError):
    """A parameter or an id is wrong; the text names it."""

    status, error_type = 400, "bad_data"


class Unauthorized(ApiError):
    """The request needs an identity and has none."""

    status, error_type = 401, "unauthorized"
    headers = MappingProxyType({"WWW-Authenticate": 'Bearer realm="hpc-aggregator"'})


class InvalidToken(Unauthorized):
    """The request carries a token that is not valid; the text says why and holds no token."""

    headers = MappingProxyType({"WWW-Authenticate": 'Bearer realm="hpc-aggregator", error="invalid_token"'})


class Forbidden(ApiError):
    """The identity may not see this."""

    status, error_type = 403, "forbidden"


class NotFound(ApiError):
    """There is no such thing; the text says what there is."""

    status, error_type = 404, "not_found"


class TooLarge(ApiError):
    """The body is larger than allowed; the text names the limit."""

    status, error_type = 413, "too_large"


class UnsupportedMediaType(ApiError):
    """The body is of a kind that is not understood; the text says which are."""

    status, error_type = 415, "unsupported_media_type"


class Misdirected(ApiError):
    """The Host header names something else than this service; the text says where names are allowed."""

    status, error_type = 421, "misdirected"


class RateLimited(ApiError):
    """Too many requests, or too many wrong passwords; the client may ask again after so many seconds."""

    status, error_type = 429, "rate_limited"

    def __init__(self, text: str, seconds: float) -> None:
        super().__init__(text)
        self.headers = _retry_after(seconds)


class Execution(ApiError):
    """The request is understood and cannot be computed."""

    status, error_type = 422, "execution"


class Unavailable(ApiError):
    """The source that the answer needs does not answer; the text names it."""

    status, error_type = 503, "unavailable"


class TryAgain(Unavailable):
    """What came could not be kept; nothing is lost when the client sends it again."""

    headers = MappingProxyType({"Retry-After": "30"})


class Busy(Unavailable):
    """Too much is asked at once, and nothing was begun; the client may ask again after so many seconds."""

    def __init__(self, text: str, seconds: float = 5.0) -> None:
        super().__init__(text)
        self.headers = _retry_after(seconds)


class SlowBody(ApiError):
    """The body of the request did not come in time."""

    status, error_type = 408, "timeout"
    headers = MappingProxyType({"Connection": "close"})


class Starting(Unavailable):
    """Nothing is known yet; it will be in a few seconds."""

    headers = MappingProxyType({"Retry-After": "2"})


class Timeout(ApiError):
    """The answer took too long."""

    status, error_type = 504, "timeout"


def _retry_after(seconds: float) -> Mapping[str, str]:
    return {"Retry-After": str(math.ceil(seconds))}


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every exception into an answer; an unexpected one is logged and gives nothing away."""
    try:
        return await handler(request)
    except ApiError as error:
        return _answer(request, error.status, error.error_type, str(error), error.headers)
    except FetchError as error:
        return _answer(request, Unavailable.status, Unavailable.error_type, str(error))
    except TimeoutError:
        return _answer(request, Timeout.status, Timeout.error_type, "the answer took too long")
    except web.HTTPException as error:
        return _answer_http(request, error)
    except Exception:
        if request.writer.output_size > 0:
            # Half an answer is out and cannot be taken back: aiohttp ends the connection and logs the reason.
            raise
        logger.exception("request failed: method=%s path=%r", request.method, request.path)
        return _answer(request, 500, "internal", "internal error; the service's log says more")


def _answer_http(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    """Answer what aiohttp itself found wrong: an unknown path, a wrong method, a body too large."""
    if error.status < 400:
        raise error
    allow = error.headers.get("Allow")
    if allow is not None:
        text = f"method {request.method} is not allowed here, only {allow.replace(',', ', ')}"
        return _answer(request, error.status, "method_not_allowed", text, {"Allow": allow})
    text = "no such path; /docs lists them" if error.status == 404 else error.reason
    return _answer(request, error.status, _TYPES.get(error.status, "bad_data"), text)


def _answer(
    request: web.Request, status: int, error_type: str, text: str, headers: Mapping[str, str] = _NO_HEADERS
) -> web.Response:
    """Answer as the path's readers expect it: plain text where Prometheus and probes ask, else the envelope."""
    show = request.app.get(ERROR_PAGE)
    if show and (request.path.startswith(_PAGES) or request.path in ("/", "/ui")):
        return show(request, status, text, headers)
    if request.path in _TEXT_PATHS or request.path.startswith("/-/"):
        return web.Response(status=status, text=f"{text}\n", headers={**headers, "Cache-Control": "no-store"})
    return failure(status, error_type, text, headers)
