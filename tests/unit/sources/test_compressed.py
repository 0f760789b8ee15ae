"""Whatever the cuts and the members, the same comes out; whatever else comes is one error."""

import asyncio
import gzip
import random
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.sources.prometheus.compressed import PIECE_BYTES, CompressedError, pieces


def read(chunks: list[bytes], encoding: str = "gzip") -> list[bytes]:
    async def given_chunks() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async def collect() -> list[bytes]:
        return [piece async for piece in pieces(given_chunks(), encoding)]

    return asyncio.run(collect())


def cut(text: bytes, seed: int) -> list[bytes]:
    dice = random.Random(seed)
    places = sorted(dice.randrange(len(text) + 1) for _ in range(dice.randrange(8)))
    return [text[first:last] for first, last in zip([0, *places], [*places, len(text)], strict=True)]


@given(st.lists(st.binary(max_size=2000), max_size=4), st.integers(0, 1000))
def test_members_come_out_whole_however_they_are_cut(members: list[bytes], seed: int) -> None:
    compressed = b"".join(gzip.compress(member) for member in members)
    assert b"".join(read(cut(compressed, seed))) == b"".join(members)


@given(st.binary(max_size=300), st.integers(0, 1000), st.booleans())
def test_what_is_not_gzip_is_an_error_and_nothing_else(garbage: bytes, seed: int, begins_well: bool) -> None:
    head = gzip.compress(b"x" * 1000)[: seed % 30] if begins_well else b""
    with suppress(CompressedError):
        read(cut(head + garbage, seed))


@given(st.integers(1, 26))
def test_what_breaks_off_is_an_error(kept: int) -> None:
    with pytest.raises(CompressedError):
        read([gzip.compress(b"abc" * 10)[:-kept]] if kept < 20 else [gzip.compress(b"abc")[:5]])


def test_pieces_are_small_whatever_they_are_made_of() -> None:
    found = read([gzip.compress(bytes(5 * PIECE_BYTES + 1))])
    assert max(map(len, found)) <= PIECE_BYTES
    assert sum(map(len, found)) == 5 * PIECE_BYTES + 1


def test_what_is_not_compressed_is_passed_on() -> None:
    assert read([b"a", b"b"], "") == read([b"a", b"b"], "identity") == [b"a", b"b"]


def test_a_compression_that_was_not_asked_for_is_named() -> None:
    with pytest.raises(CompressedError, match="compressed by br, which was not asked for"):
        read([b"x"], "br")
