"""Check a signed token, and tell whom it names. What is not signed by a known key is never believed, not even read."""

import re
from dataclasses import dataclass
from typing import Any, Final

import jwt
from aiohttp import web

from aggregator.api.errors import InvalidToken, Unauthorized
from aggregator.api.identity import Identity, is_name
from aggregator.api.jwt.keys import KeySet, SigningKey
from aggregator.api.tokens.scope import READ_OWN

MAX_TOKEN: Final = 16_384
# The beginnings of algorithms' names that go with each type of key.
_FAMILIES: Final = {"RSA": ("RS", "PS"), "EC": ("ES",), "OKP": ("Ed",)}
_WRONG: Final[tuple[tuple[type[Exception], str], ...]] = (
    (jwt.ExpiredSignatureError, "it has expired"),
    (jwt.ImmatureSignatureError, "it is not valid yet"),
    (jwt.InvalidIssuerError, "it is of another issuer ({section}.issuer)"),
    (jwt.InvalidAudienceError, "it is for another audience ({section}.{audience_key})"),
    (jwt.InvalidAlgorithmError, "its algorithm is not accepted ({section}.algorithms)"),
    (jwt.MissingRequiredClaimError, "it lacks a claim: exp, iss and aud are needed"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRules:
    """Which tokens are accepted, and how their claims name the user; leeway is in seconds.

    `section` of the configuration says so, by `audience_key` for whom; they are `called` so in what is told of them.
    """

    section: str
    audience_key: str
    called: str
    issuer: str
    audience: tuple[str, ...]
    algorithms: tuple[str, ...]
    leeway: float
    user_claim: str
    user_pattern: str | None = None
    groups_claim: str | None = None
    staff_groups: frozenset[str] = frozenset()


class SignedTokens:
    """Know whom a token names, by the keys of its issuer."""

    def __init__(self, rules: TokenRules, keys: KeySet) -> None:
        self.rules = rules
        self.keys = keys

    async def claims(self, text: str) -> dict[str, Any]:
        """Give what a token says, after its signature, times, issuer and audience are checked.

        Raises InvalidToken, whose text holds nothing of the token, and KeysUnavailable.
        """
        if len(text) > MAX_TOKEN:
            raise self.refused(f"longer than {MAX_TOKEN} bytes")
        key = await self.keys.find(self._key_id(text))
        if key is None:
            raise self.refused("signed by a key that its issuer does not have (kid)")
        return self._checked(text, key)

    def user(self, claims: dict[str, Any]) -> str:
        """Give the user that claims name.

        Raises InvalidToken.
        """
        claim = claims.get(self.rules.user_claim)
        name = claim if isinstance(claim, str) else ""
        if self.rules.user_pattern is not None:
            found = re.fullmatch(self.rules.user_pattern, name[:1000])
            name = (found[1] or "") if found else ""
        if not is_name(name):
            raise self.refused(f"its claim {self.rules.user_claim} names no user of this site")
        return name

    def staff_groups(self, claims: dict[str, Any]) -> frozenset[str]:
        """Give the groups of the staff that claims name."""
        groups = claims.get(self.rules.groups_claim) if self.rules.groups_claim else None
        listed = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
        return self.rules.staff_groups.intersection(group for group in listed if isinstance(group, str))

    def refused(self, why: str) -> InvalidToken:
        """Make the error that says what is wrong with a token."""
        return InvalidToken(f"{self.rules.called}: {why}")

    def _key_id(self, text: str) -> str:
        """Read which key the token says that it is signed by: all that is read before the signature is checked."""
        try:
            key_id = jwt.get_unverified_header(text).get("kid")
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise self.refused("its form is wrong") from None
        if not isinstance(key_id, str):
            raise self.refused("it does not name its key (kid)")
        return key_id

    def _checked(self, text: str, key: SigningKey) -> dict[str, Any]:
        rules = self.rules
        algorithms = _algorithms(rules.algorithms, key)
        try:
            if not algorithms:
                raise jwt.InvalidAlgorithmError
            claims: dict[str, Any] = jwt.decode(
                text,
                key.public,
                algorithms=algorithms,
                issuer=rules.issuer,
                audience=rules.audience,
                leeway=rules.leeway,
                options={"require": ["exp", "iss", "aud"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            why = next((words for kind, words in _WRONG if isinstance(error, kind)), "its signature or form is wrong")
            raise self.refused(why.format(section=rules.section, audience_key=rules.audience_key)) from None
        return claims


class AccessTokens(SignedTokens):
    """Know whom the access token of a request names."""

    def __init__(self, rules: TokenRules, keys: KeySet, header: str) -> None:
        super().__init__(rules, keys)
        self.header = header

    @property
    def in_authorization(self) -> bool:
        """Tell whether access tokens come where ours do."""
        return self.header.lower() == "authorization"

    def shown_by(self, request: web.Request) -> str | None:
        """Give the token that a request carries, None without one.

        Raises Unauthorized for two: one of them may be the client's own, which a proxy passed on.
        """
        values = request.headers.getall(self.header, [])
        if self.in_authorization:
            values = [value[7:] for value in values if value[:7].lower() == "bearer "]
        if len(values) > 1:
            raise Unauthorized(f"{self.header}: must hold one access token")
        return values[0].strip() if values else None

    async def identify(self, text: str) -> Identity:
        """Give the identity that a token names.

        Raises InvalidToken, whose text holds nothing of the token, and KeysUnavailable.
        """
        claims = await self.claims(text)
        user = self.user(claims)
        return Identity(
            kind="jwt",
            name=user,
            user=user,
            scopes=frozenset({READ_OWN}),
            expires=float(claims["exp"]),
            staff=bool(self.staff_groups(claims)),
        )


def _algorithms(accepted: tuple[str, ...], key: SigningKey) -> list[str]:
    """Give the accepted algorithms that go with the key: that of the key where it names one, else of its type."""
    fitting = [name for name in accepted if name.startswith(_FAMILIES[key.type])]
    return [name for name in fitting if key.algorithm in (None, name)]
