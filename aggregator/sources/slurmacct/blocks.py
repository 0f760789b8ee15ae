"""Keys of open rows in blocks: what has changed is found by a count and a sum of each block. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import reduce
from operator import xor

from aggregator.sources.slurmacct import statements

Digest = tuple[int, int]
"""How many rows a block has, and the XOR of their fingerprints; statements.open_blocks makes the same."""


class Blocks:
    """Keys and their fingerprints by block, key modulo statements.BLOCKS. Never changed: `after` gives another."""

    def __init__(
        self, rows: Mapping[int, Mapping[int, int]] | None = None, digests: Mapping[int, Digest] | None = None
    ) -> None:
        self._rows = rows or {}
        self._digests = digests or {}

    def __len__(self) -> int:
        return sum(count for count, _ in self._digests.values())

    def __contains__(self, key: int) -> bool:
        return key in self._rows.get(key % statements.BLOCKS, ())

    def __iter__(self) -> Iterator[int]:
        for rows in self._rows.values():
            yield from rows

    def keys_in(self, blocks: Iterable[int]) -> set[int]:
        """Give the keys of some blocks."""
        return {key for block in blocks for key in self._rows.get(block, ())}

    def differing(self, digests: Mapping[int, Digest]) -> set[int]:
        """Tell which blocks have other rows, or changed ones; `digests` has every block that is not empty."""
        return {block for block, _ in self._digests.items() ^ digests.items()}

    def after(self, changed: Mapping[int, int], gone: Collection[int]) -> "Blocks":
        """Give the blocks with these fingerprints by key, and without the keys that are gone."""
        touched = {block: dict(self._rows.get(block, ())) for block in _blocks_of(changed) | _blocks_of(gone)}
        for key in gone:
            touched[key % statements.BLOCKS].pop(key, None)
        for key, fingerprint in changed.items():
            touched[key % statements.BLOCKS][key] = fingerprint
        rows = {**self._rows, **touched}
        digests = {**self._digests}
        for block, content in touched.items():
            if content:
                digests[block] = len(content), reduce(xor, content.values())
            else:
                del rows[block]
                digests.pop(block, None)
        return Blocks(rows, digests)


def _blocks_of(keys: Iterable[int]) -> set[int]:
    return {key % statements.BLOCKS for key in keys}
