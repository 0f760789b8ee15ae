"""The text of a token: recognisable, checked, and hashed for keeping."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.token import (
    ID_LENGTH,
    ID_LETTERS,
    TOKEN_PATTERN,
    TokenError,
    format_token,
    hash_token,
    token_id_of,
)

IDS = st.text(ID_LETTERS, min_size=ID_LENGTH, max_size=ID_LENGTH)
SECRETS = st.binary(min_size=32, max_size=32)


@given(IDS, SECRETS)
def test_the_id_can_be_read_from_a_token_and_a_scanner_finds_it_in_any_text(token_id: str, secret: bytes) -> None:
    token = format_token(token_id, secret)
    assert token_id_of(token) == token_id
    assert re.search(TOKEN_PATTERN, f"export TOKEN='{token}'\n") is not None


@given(SECRETS, SECRETS)
def test_different_secrets_are_different_tokens(one: bytes, other: bytes) -> None:
    assert (format_token("abcdefgh", one) == format_token("abcdefgh", other)) == (one == other)


@given(SECRETS, st.integers(0, 62), st.sampled_from("0aZ_"))
def test_a_token_with_one_wrong_character_is_not_a_token(secret: bytes, position: int, letter: str) -> None:
    token = format_token("abcdefgh", secret)
    changed = token[:position] + letter + token[position + 1 :]
    if changed != token:
        with pytest.raises(TokenError):
            token_id_of(changed)


@given(st.text())
def test_no_text_makes_the_parser_fail_in_another_way_or_is_repeated(text: str) -> None:
    with pytest.raises(TokenError) as caught:
        token_id_of(text)
    assert str(caught.value) == "not a token of this service, which begins with hpca_"


def test_a_token_that_was_cut_or_has_a_line_end_is_refused() -> None:
    token = format_token("abcdefgh", bytes(32))
    for wrong in (token[:-1], token + "\n", token.upper(), f" {token}", token.replace("a", "\u0430", 1)):
        with pytest.raises(TokenError):
            token_id_of(wrong)


def test_the_hash_does_not_hold_the_token() -> None:
    token = format_token("abcdefgh", bytes(range(32)))
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", hash_token(token))
    assert hash_token(token) != hash_token(token[:-1])
