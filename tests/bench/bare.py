"""The reference of speed over HTTP: aiohttp alone, which sends answers that are ready.

    python -m tests.bench.bare PORT FILE

The file is JSON: for each path the status, headers and body (base64) of its answer.
"""

import base64
import json
import sys
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from tests.lab.ports import LOOPBACK


def main() -> None:
    """Serve until the process is ended."""
    port, file = sys.argv[1:]
    app = web.Application()
    for path, answer in json.loads(Path(file).read_text()).items():
        app.router.add_get(path, _handler(answer["status"], answer["headers"], base64.b64decode(answer["body"])))
    web.run_app(app, host=LOOPBACK, port=int(port), access_log=None, print=None)


def _handler(status: int, headers: dict[str, str], body: bytes) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, headers=headers, body=body)

    return answer


if __name__ == "__main__":
    main()
