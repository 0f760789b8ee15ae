"""Blocks of keys, whatever happens to their rows."""

from functools import reduce
from operator import xor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.sources.slurmacct import statements
from aggregator.sources.slurmacct.blocks import Blocks, Digest

# Auto-increment keys and those of 24.11 on, which need 64 bits.
KEYS = st.one_of(st.integers(1, 40), st.integers(2**63 + 2**40, 2**63 + 2**40 + 40))
ROWS = st.dictionaries(KEYS, st.integers(0, 2**64 - 1), max_size=20)


@pytest.fixture(scope="module", autouse=True)
def _few_blocks() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statements, "BLOCKS", 7)
        yield


def digests(rows: dict[int, int]) -> dict[int, Digest]:
    """Do what the server does."""
    blocks = {key % 7: [mark for other, mark in rows.items() if other % 7 == key % 7] for key in rows}
    return {block: (len(marks), reduce(xor, marks)) for block, marks in blocks.items()}


@given(history=st.lists(st.tuples(ROWS, st.sets(KEYS, max_size=20)), max_size=6))
def test_blocks_have_the_digests_that_the_server_makes_of_the_same_rows(
    history: list[tuple[dict[int, int], set[int]]],
) -> None:
    blocks, rows = Blocks(), dict[int, int]()
    for changed, gone in history:
        before, known = blocks, dict(rows)
        blocks = blocks.after(changed, gone - changed.keys())
        rows = {key: mark for key, mark in rows.items() if key not in gone} | changed
        assert blocks.differing(digests(rows)) == set()
        assert (set(blocks), len(blocks)) == (rows.keys(), len(rows))
        assert before.differing(digests(known)) == set(), "what was known before is as it was"


@given(known=ROWS, there=ROWS)
def test_only_blocks_with_other_rows_differ(known: dict[int, int], there: dict[int, int]) -> None:
    """Of rows that cancel each other out nothing can be seen here: the fingerprint sees to it that there are none."""
    differing = Blocks().after(known, ()).differing(digests(there))
    assert differing <= {key % 7 for key, _ in known.items() ^ there.items()}
    assert {key % 7 for key in there.keys() - known.keys()} >= differing - {key % 7 for key in known}


@given(rows=ROWS, blocks=st.sets(st.integers(0, 6)))
def test_the_keys_of_a_block_are_those_that_it_has(rows: dict[int, int], blocks: set[int]) -> None:
    assert Blocks().after(rows, ()).keys_in(blocks) == {key for key in rows if key % 7 in blocks}
    assert all(key in Blocks().after(rows, ()) for key in rows)
    assert 10**6 not in Blocks().after(rows, ())
