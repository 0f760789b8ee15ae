"""Signed tokens of a single sign-on: the keys that sign them, and whom they name."""

from aggregator.api.jwt.keys import KeyFile, KeyPlace, KeySet, KeysUnavailable, KeyUrl
from aggregator.api.jwt.verify import AccessTokens, SignedTokens, TokenRules

__all__ = [
    "AccessTokens", "KeyFile", "KeyPlace", "KeySet", "KeyUrl", "KeysUnavailable", "SignedTokens", "TokenRules",
]  # fmt: skip
