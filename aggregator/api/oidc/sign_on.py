"""Who signs in at an issuer gets a session: what is begun here, ends here, in the same browser, and soon.

Nothing is kept in the service: what was begun, and then the session, are cookies that are sealed with the client's
secret, which all replicas have. So each of them can end what another has begun, also after a restart.
"""

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from urllib.parse import urlencode, urlsplit

import orjson

from aggregator import executors
from aggregator.api.errors import ApiError, Busy, Forbidden, TryAgain
from aggregator.api.identity import Identity
from aggregator.api.jwt import SignedTokens
from aggregator.api.oidc.code import Grant, redeem, said
from aggregator.api.oidc.issuer import Endpoints, Issuer
from aggregator.api.sealed import Seal, from_cookie, to_cookie
from aggregator.api.session import SECONDS
from aggregator.api.tokens.scope import READ_OWN
from aggregator.config import SHORTEST_SECRET, SecretSource

CALLBACK: Final = "/ui/sign-in/callback"
# Who has to type a password and find the second factor is not that slow.
BEGUN_SECONDS: Final = 600.0
# What a browser keeps of one site in one cookie.
_LONGEST: Final = 4096
_LONGEST_PAGE: Final = 1500
_MOST_GROUPS: Final = 8
# An issuer that hangs holds up no more than so many requests.
_MOST_AT_ONCE: Final = 32
_SECRET_SECONDS: Final = 1.0


class NotBegun(ApiError):
    """The sign-in that comes back was not begun by this browser, or too long ago."""

    status: ClassVar[int] = 400
    error_type: ClassVar[str] = "bad_data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What the issuer knows this service by."""

    client_id: str
    secret: SecretSource
    scopes: tuple[str, ...]
    external_url: str

    @property
    def redirect_uri(self) -> str:
        """Give the one address to which the issuer may send browsers back."""
        return self.external_url.rstrip("/") + CALLBACK


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in that is under way, and the page to which it leads."""

    state: str
    nonce: str
    verifier: str
    to: str


class SingleSignOn:
    """Let people sign in at an issuer, whose tokens and keys say who they are."""

    def __init__(
        self, client: Client, issuer: Issuer, tokens: SignedTokens, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.client = client
        self.issuer = issuer
        self.tokens = tokens
        self._monotonic = monotonic
        self._secret: tuple[str, float] | None = None
        self._at_once = 0

    @property
    def host(self) -> str:
        """Name the issuer to people."""
        return urlsplit(self.issuer.url).hostname or ""

    async def begin(self, to: str, now: float) -> tuple[str, str]:
        """Give the issuer's address at which to sign in, and the cookie of what was begun.

        Raises Unavailable when nothing is known of the issuer, or its secret cannot be read.
        """
        endpoints = await self._endpoints()
        kept = to if len(to.encode()) <= _LONGEST_PAGE else "/"
        begun = Begun(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(32), kept)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(begun.verifier.encode()).digest()).rstrip(b"=").decode()
        query = urlencode({
            "response_type": "code", "client_id": self.client.client_id, "redirect_uri": self.client.redirect_uri,
            "scope": " ".join(self.client.scopes), "state": begun.state, "nonce": begun.nonce,
            "code_challenge": challenge, "code_challenge_method": "S256",
        })  # fmt: skip
        place = f"{endpoints.authorization}{'&' if '?' in endpoints.authorization else '?'}{query}"
        content = orjson.dumps([begun.state, begun.nonce, begun.verifier, begun.to])
        return place, to_cookie((await self._seal("sign-in")).close(content, now + BEGUN_SECONDS))

    async def begun(self, cookie: str | None, state: str, now: float) -> Begun:
        """Give what this browser has begun, of which a state has come back.

        Raises NotBegun, and Unavailable when the secret cannot be read.
        """
        opened = (await self._seal("sign-in")).open(from_cookie(cookie or "", _LONGEST), now)
        if opened is None:
            raise NotBegun("no sign-in was begun in this browser within the last 10 minutes")
        begun = Begun(*orjson.loads(opened[0]))
        if not _is_same(state, begun.state):
            raise NotBegun("the state is not that of the sign-in that was begun in this browser")
        return begun

    async def finish(self, begun: Begun, answer: Mapping[str, str], now: float) -> tuple[Identity, str]:
        """Give who has signed in, and the cookie of the session; answer is what the issuer has sent by the browser.

        Raises Forbidden, InvalidToken, Unavailable.
        """
        endpoints = await self._endpoints()
        issuer = answer.get("iss")
        if issuer != self.issuer.url and (issuer is not None or endpoints.names_itself):
            raise Forbidden("this answer is of another issuer (iss)")
        if "error" in answer or not answer.get("code"):
            why = f"{said(answer.get('error'))} {said(answer.get('error_description', ''))}"
            raise Forbidden(f"the issuer refuses: {why.strip()}")
        claims = await self.tokens.claims(await self._redeem(begun, answer["code"], endpoints))
        self._check(claims, begun.nonce)
        return await self._session(self.tokens.user(claims), self.tokens.staff_groups(claims), now + SECONDS)

    async def resume(self, cookie: str, now: float) -> Identity | None:
        """Give whose session a cookie is; None for one that is over, or that is none of ours."""
        try:
            opened = (await self._seal("session")).open(from_cookie(cookie, _LONGEST), now)
        except TryAgain:
            return None
        if opened is None:
            return None
        user, *groups = orjson.loads(opened[0])
        return self._identity(user, frozenset(groups), opened[1])

    async def _session(self, user: str, groups: frozenset[str], until: float) -> tuple[Identity, str]:
        content = orjson.dumps([user, *sorted(groups)[:_MOST_GROUPS]])
        cookie = to_cookie((await self._seal("session")).close(content, until))
        return self._identity(user, groups, until), cookie

    def _identity(self, user: str, groups: frozenset[str], until: float) -> Identity:
        # Who is staff now, not when the session began.
        is_staff = not groups.isdisjoint(self.tokens.rules.staff_groups)
        scopes = frozenset({READ_OWN})
        return Identity(kind="oidc", name=user, user=user, scopes=scopes, expires=until, staff=is_staff)

    def _check(self, claims: Mapping[str, Any], nonce: str) -> None:
        """Check what an ID token has and other tokens have not: for which sign-in of which client it is."""
        if not _is_same(claims.get("nonce"), nonce):
            raise self.tokens.refused("it is not of the sign-in that was begun here (nonce)")
        is_shared = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if is_shared else self.client.client_id) != self.client.client_id:
            raise self.tokens.refused("it was made for another client (azp)")

    async def _redeem(self, begun: Begun, code: str, endpoints: Endpoints) -> str:
        if self._at_once >= _MOST_AT_ONCE:
            raise Busy("too many people are signing in")
        grant = Grant(
            code=code, verifier=begun.verifier, redirect_uri=self.client.redirect_uri,
            client_id=self.client.client_id, secret=await self._read_secret(),
        )  # fmt: skip
        self._at_once += 1
        try:
            return await redeem(grant, endpoints, self.issuer.ca_file)
        finally:
            self._at_once -= 1

    async def _endpoints(self) -> Endpoints:
        await self.tokens.keys.ready()
        # It was read together with the keys.
        assert self.issuer.endpoints
        return self.issuer.endpoints

    async def _seal(self, purpose: str) -> Seal:
        """Make a seal, of this client and of this reading of claims: with others, what was sealed is not ours."""
        rules = self.tokens.rules
        about = [rules.issuer, self.client.client_id, rules.user_claim, rules.user_pattern, rules.groups_claim]
        return Seal(await self._read_secret(), f"hpc-aggregator oidc {purpose} {orjson.dumps(about).decode()}")

    async def _read_secret(self) -> str:
        """Read the secret anew at each use, once a second at most: its file may have been rotated.

        Raises TryAgain for one that cannot be read, and for half of one, with which anybody could make a session.
        """
        now = self._monotonic()
        if self._secret is None or now - self._secret[1] > _SECRET_SECONDS:
            try:
                text = await executors.run(executors.FILES, self.client.secret.get)
            except (OSError, ValueError) as error:
                raise TryAgain(f"auth.oidc.client_secret_file: {error}") from None
            if len(text) < SHORTEST_SECRET:
                raise TryAgain(f"auth.oidc.client_secret: has less than {SHORTEST_SECRET} characters")
            self._secret = text, now
        return self._secret[0]


def _is_same(given: object, wanted: str) -> bool:
    return isinstance(given, str) and hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())
