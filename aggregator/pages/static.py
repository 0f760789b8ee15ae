"""The style sheet and the script: files of the service, named by what is in them, so that browsers may keep them."""

import functools
import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import Final

from aiohttp import web

from aggregator.api.areas import DOOR
from aggregator.api.errors import NotFound
from aggregator.api.route import Route

_TYPES: Final = {"pages.css": "text/css", "pages.js": "text/javascript", "icon.svg": "image/svg+xml"}
_KEPT: Final = "public, max-age=31536000, immutable"


def address_of(name: str) -> str:
    """Give the address of a file, below /."""
    stem, _, end = name.rpartition(".")
    return f"ui/static/{stem}.{_files()[name][1]}.{end}"


async def get_static(request: web.Request) -> web.StreamResponse:
    """Answer with a file; the one of another version of the service is not there."""
    for name, (content, digest) in _files().items():
        stem, _, end = name.rpartition(".")
        if request.match_info["file"] == f"{stem}.{digest}.{end}":
            response = web.Response(body=content, content_type=_TYPES[name], charset="utf-8")
            response.headers["Cache-Control"] = _KEPT
            response.enable_compression()
            return response
    raise NotFound("no such file")


STATIC: Final = Route(path="/ui/static/{file}", handler=get_static, area=DOOR)


@functools.cache
def _files() -> Mapping[str, tuple[bytes, str]]:
    folder = resources.files("aggregator.pages").joinpath("static")
    found = {name: folder.joinpath(name).read_bytes() for name in _TYPES}
    return {name: (content, hashlib.sha256(content).hexdigest()[:12]) for name, content in found.items()}
