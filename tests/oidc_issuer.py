"""A small OpenID Connect issuer: it signs in whoever it is told, by codes, and can be made to misbehave."""

import asyncio
import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote_plus, urlencode

from aiohttp import BasicAuth, web

from tests.faults.issuer import SigningKey, claims, key_set

CLIENT, SECRET = "hpc", "only for tests: a secret/of+40 characters"
KEY = SigningKey("r1")
Claims = dict[str, Any]


class OidcIssuer:
    """Discovery, keys, a page that asks for consent, and codes that are good once.

    A test changes `user` and `keys`, what is signed (`sign`), what discovery says (`document`), and what comes of a
    code (`redeem`), which may also hang until `may_answer`.
    """

    def __init__(self) -> None:
        self.url = ""
        self.user: Claims = {"sub": "7f3a", "preferred_username": "ann"}
        self.keys = [KEY]
        self.sign: Callable[[Claims], str] = lambda said: self.keys[0].token(**said)
        self.document: Claims = {}
        self.redeem: Callable[[], web.Response] | None = None
        self.is_down = False
        self.hangs = False
        self.may_answer = asyncio.Event()
        self.redeemed: list[dict[str, str]] = []
        self._codes: dict[str, dict[str, str]] = {}

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._down])
        app.router.add_get("/.well-known/openid-configuration", self._discover)
        app.router.add_get("/certs", self._certs)
        app.router.add_get("/authorize", self._authorize)
        app.router.add_get("/consent", self._consent)
        app.router.add_post("/token", self._token)
        return app

    @web.middleware
    async def _down(self, request: web.Request, handler: Any) -> web.StreamResponse:
        answer: web.StreamResponse = web.Response(status=503) if self.is_down else await handler(request)
        return answer

    async def _discover(self, _: web.Request) -> web.Response:
        return web.json_response({
            "issuer": self.url, "authorization_endpoint": f"{self.url}/authorize?tenant=1",
            "token_endpoint": f"{self.url}/token", "jwks_uri": f"{self.url}/certs", **self.document,
        })  # fmt: skip

    async def _certs(self, _: web.Request) -> web.Response:
        return web.Response(text=key_set(*self.keys))

    async def _authorize(self, request: web.Request) -> web.Response:
        """Ask for consent, as a browser shows it."""
        link = f"/consent?{urlencode(request.query)}"
        page = f'<!doctype html><title>SSO</title><a id="yes" href="{link}">Yes</a>'
        return web.Response(text=page, content_type="text/html")

    async def _consent(self, request: web.Request) -> web.Response:
        asked = dict(request.query)
        assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT)
        assert (asked["code_challenge_method"], "openid" in asked["scope"].split()) == ("S256", True)
        code = secrets.token_urlsafe(12)
        self._codes[code] = asked
        back = urlencode({"code": code, "state": asked["state"], "iss": self.url, "session_state": "x"})
        raise web.HTTPFound(f"{asked['redirect_uri']}?{back}")

    async def _token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.redeemed.append(form)
        if self.hangs:
            await self.may_answer.wait()
        if self.redeem:
            return self.redeem()
        if not _is_client(request, form):
            return web.json_response({"error": "invalid_client"}, status=401)
        asked = self._codes.pop(form["code"], None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
        if (
            asked is None
            or challenge.decode() != asked["code_challenge"]
            or form["redirect_uri"] != asked["redirect_uri"]
        ):
            return web.json_response({"error": "invalid_grant"}, status=400)
        said = {"iss": self.url, "aud": CLIENT, "nonce": asked["nonce"], **self.user}
        return web.json_response({"access_token": "opaque", "token_type": "Bearer", "id_token": self.sign(said)})


def _is_client(request: web.Request, form: dict[str, str]) -> bool:
    if "client_secret" in form:
        return (form["client_id"], form["client_secret"]) == (CLIENT, SECRET)
    login = BasicAuth.decode(request.headers["Authorization"])
    return (unquote_plus(login.login), unquote_plus(login.password)) == (CLIENT, SECRET)


def signed_otherwise(change: Claims) -> Callable[[Claims], str]:
    """Give what signs other claims; one of None is left out."""
    return lambda said: KEY.token(**{**said, **change})


def whole(said: Claims) -> Claims:
    """Give all claims of a token that is signed by hand."""
    return claims(**said)


@contextmanager
def in_a_thread(issuer: OidcIssuer, port: int) -> Iterator[None]:
    """Serve an issuer to other processes."""
    loop = asyncio.new_event_loop()
    issuer.url = f"http://127.0.0.1:{port}"
    runner = web.AppRunner(issuer.app(), shutdown_timeout=0.1)

    async def start() -> None:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()

    loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def settings_of(issuer: str, **more: Any) -> str:
    """Write the section `auth`, in JSON, which is YAML too."""
    section = {"issuer": issuer, "client_id": CLIENT, "client_secret": SECRET, **more}
    return json.dumps({"oidc": {name: value for name, value in section.items() if value is not None}})
