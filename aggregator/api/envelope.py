"""Answers in the Prometheus API's envelope."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import orjson
from aiohttp import ETag, web

from aggregator.engine.query import ListPage

JSON = "application/json"
COMPRESS_ABOVE_BYTES = 1024
# A page of 1000 jobs is 2 MB: compressing it on the event loop would hold up every other request.
_COMPRESS_IN_THREAD_ABOVE_BYTES = 16 * 1024
# Of every answer with an ETag.
_IDENTIFIED = MappingProxyType({"Cache-Control": "private, no-cache", "Vary": "Accept-Encoding"})


def success(request: web.Request, data: object, warnings: Sequence[str] = ()) -> web.Response:
    """Answer with data, or 304 when the client already has exactly them."""
    content = {"status": "success", "data": data, **({"warnings": list(warnings)} if warnings else {})}
    return _answer(request, _dumps(content))


def success_rows(
    request: web.Request,
    name: str,
    page: ListPage,
    warnings: Sequence[str] = (),
    also: Mapping[str, object] = MappingProxyType({}),
) -> web.Response:
    """Answer with one page of a list and what else is said of it, or 304; rows are written as in their frame."""
    rows, more = page.rows.write_json().encode(), {"next_cursor": page.cursor or None, "total": page.total, **also}
    told = b',"warnings":' + _dumps(list(warnings)) if warnings else b""
    return _answer(
        request, b'{"status":"success","data":{"%b":%b,%b%b}' % (name.encode(), rows, _dumps(more)[1:], told)
    )


def _answer(request: web.Request, body: bytes) -> web.Response:
    etag = hashlib.blake2b(body, digest_size=16).hexdigest()
    return not_modified(etag) if has_answer(request, etag) else identified(_json(body), etag)


def not_modified(etag: str) -> web.Response:
    """Answer that the client has exactly what there is."""
    return web.Response(status=304, headers={**_IDENTIFIED, "ETag": f'W/"{etag}"'})


def has_answer(request: web.Request, etag: str) -> bool:
    """Tell whether If-None-Match names this answer, by the weak comparison of RFC 9110."""
    return any(known.value in (etag, "*") for known in request.if_none_match or ())


def failure(status: int, error_type: str, error: str, headers: Mapping[str, str]) -> web.Response:
    """Answer with an error."""
    response = _json(_dumps({"status": "error", "errorType": error_type, "error": error}), status, headers)
    response.headers["Cache-Control"] = "no-store"
    return response


def _json(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    response = web.Response(
        body=body,
        status=status,
        headers=headers,
        content_type=JSON,
        zlib_executor_size=_COMPRESS_IN_THREAD_ABOVE_BYTES,
    )
    if len(body) > COMPRESS_ABOVE_BYTES:
        response.enable_compression()
    return response


def identified(response: web.Response, etag: str) -> web.Response:
    """Name the answer; weakly, for the compressed and the plain body share the name."""
    response.etag = ETag(etag, is_weak=True)
    response.headers.update(_IDENTIFIED)
    return response


def _dumps(content: object) -> bytes:
    try:
        return orjson.dumps(content)
    except orjson.JSONEncodeError:
        # orjson refuses lone surrogates; one job with a broken name must not take the whole list down.
        return json.dumps(content, default=_plain).encode()


def _plain(written: orjson.Fragment) -> object:
    """Read rows that are written already."""
    return orjson.loads(written.contents)
