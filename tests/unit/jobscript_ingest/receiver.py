"""A real HTTP server with the service's side of the contract."""

import asyncio
import base64
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from aiohttp import web

TOKEN = "s3cret-token"


class Receiver:
    """Store what is posted; `answers` are given first, in their order, then what `judge` says of each script."""

    def __init__(self) -> None:
        self.scripts: dict[int, list[dict[str, Any]]] = defaultdict(list)
        self.requests: list[list[int]] = []
        self.headers: list[dict[str, str]] = []
        self.answers: list[Callable[[], web.Response]] = []
        self.token = TOKEN
        self.url = ""
        self.too_large: frozenset[int] = frozenset()
        self.rejects: dict[int, str] = {}
        self.forgets: set[int] = set()
        # Set to let the service fall silent, before or after it stores a batch.
        self.silent_before = False
        self.silent_after = False
        self._never = asyncio.Event()

    def content(self, job_id: int) -> bytes:
        """Give what was last stored of a job."""
        return bytes(self.scripts[job_id][-1]["content"])

    def fail(self, status: int, body: str = "", **headers: str) -> None:
        """Answer the next request so."""
        headers = {name.replace("_", "-"): text for name, text in headers.items()}
        self.answers.append(lambda: web.Response(status=status, text=body, headers=headers))

    def app(self) -> web.Application:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_post("/prefix/api/v1/clusters/narval/jobscripts", self._post)
        return app

    async def _post(self, request: web.Request) -> web.Response:
        scripts = json.loads(await request.read())["scripts"]
        self.requests.append([script["job_id"] for script in scripts])
        self.headers.append(dict(request.headers))
        if self.answers:
            return self.answers.pop(0)()
        if request.headers["Authorization"] != f"Bearer {self.token}":
            return _error(401, "no such token")
        if self.too_large & {script["job_id"] for script in scripts}:
            return _error(413, "too large")
        if self.silent_before:
            await self._never.wait()
            return _error(503, "the end")
        answer = self._store(scripts)
        if self.silent_after:
            await self._never.wait()
        return answer

    def release(self) -> None:
        """Let every request end."""
        self._never.set()

    def _store(self, scripts: list[dict[str, Any]]) -> web.Response:
        stored, rejected = [], []
        for script in scripts:
            key = {name: script[name] for name in ("job_id", "sha256")}
            script["content"] = base64.b64decode(script.pop("content_base64"), validate=True)
            assert hashlib.sha256(script["content"]).hexdigest() == script["sha256"]
            if script["job_id"] in self.rejects:
                rejected.append({**key, "error": self.rejects[script["job_id"]]})
            elif script["job_id"] not in self.forgets:
                self.scripts[script["job_id"]].append(script)
                stored.append({**key, "written_at": script["written_at"]})
        return web.json_response({"status": "success", "data": {"stored": stored, "rejected": rejected}})


def _error(status: int, text: str) -> web.Response:
    return web.json_response({"status": "error", "errorType": "x", "error": text}, status=status)
