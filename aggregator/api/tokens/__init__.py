"""Bearer tokens: what they may do, where they are kept, and which of them a request carries."""

from aggregator.api.tokens.file import TokenEntry, TokenFileError, read_tokens, update_tokens, write_entry
from aggregator.api.tokens.scope import check_scopes
from aggregator.api.tokens.store import TokenStore

__all__ = [
    "TokenEntry",
    "TokenFileError",
    "TokenStore",
    "check_scopes",
    "read_tokens",
    "update_tokens",
    "write_entry",
]
