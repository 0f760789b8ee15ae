"""Write host lists as Slurm does, together with the names that they stand for."""

from collections.abc import Sequence
from itertools import product

from hypothesis import strategies as st

# A text and the names that it stands for.
Written = tuple[str, tuple[str, ...]]

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PREFIXES = st.from_regex(r"[a-z]{1,4}[0-9]{0,2}-?", fullmatch=True)
_SEPARATORS = st.sampled_from([",", " ", "\t", ", "])


def compress(prefix: str, width: int, numbers: Sequence[int]) -> str:
    """Write numbers of one width as Slurm does: runs of neighbours become ranges."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] + 1 == number:
            runs[-1].append(number)
        else:
            runs.append([number])
    written = (f"{run[0]:0{width}d}" if len(run) == 1 else f"{run[0]:0{width}d}-{run[-1]:0{width}d}" for run in runs)
    return f"{prefix}[{','.join(written)}]"


def _range(low: int, others: int, width: int, padded: bool) -> Written:
    first = f"{low:0{width}d}"
    last = f"{low + others:0{width if padded else 1}d}"
    names = tuple(str(number).zfill(len(first)) for number in range(low, low + others + 1))
    return (f"{first}-{last}" if others else first), names


def _box(sides: list[tuple[int, int]]) -> Written:
    low, high = ("".join(_DIGITS[choose(side)] for side in sides) for choose in (min, max))
    names = product(*(_DIGITS[min(side) : max(side) + 1] for side in sides))
    # A single coordinate of digits alone is written, and read, as a number.
    return (f"{low}x{high}" if low != high else low), tuple(map("".join, names))


def _item(prefix: str, brackets: list[tuple[list[Written], str]]) -> Written:
    text, names = prefix, [prefix]
    for parts, literal in brackets:
        text += f"[{','.join(part for part, _ in parts)}]{literal}"
        names = [before + name + literal for before in names for _, of_part in parts for name in of_part]
    return text, tuple(names)


def _list(items: list[tuple[Written, str]]) -> Written:
    text = "".join(item + separator for (item, _), separator in items)
    return text, tuple(name for (_, names), _ in items for name in names)


_RANGES = st.builds(_range, st.integers(0, 1100), st.integers(0, 12), st.integers(1, 5), st.booleans())
_CORNERS = st.integers(0, 35).flatmap(lambda low: st.tuples(st.just(low), st.integers(low, min(35, low + 2))))
_BOXES = st.builds(_box, st.lists(_CORNERS, min_size=2, max_size=3))


def host_lists(*, ours_only: bool) -> st.SearchStrategy[Written]:
    """Draw host lists; with `ours_only` also the forms that Slurm 22.05 refuses on a cluster of one dimension."""
    parts = st.lists(_RANGES | _BOXES if ours_only else _RANGES, min_size=1, max_size=4)
    brackets = st.tuples(parts, st.sampled_from(["", "n", "node", "-"]))
    items = st.builds(_item, _PREFIXES, st.lists(brackets, max_size=2))
    if not ours_only:
        # What follows the last bracket has a bracket of its own.
        last = st.tuples(parts, st.just(""))
        bracketed = st.builds(lambda prefix, first, end: _item(prefix, [*first, end]), _PREFIXES,
                              st.lists(brackets, max_size=1), last)  # fmt: skip
        items = bracketed | _PREFIXES.map(lambda name: (name, (name,)))
    # 22.05 takes a newline for a letter of the name.
    separators = _SEPARATORS | st.just("\n") if ours_only else _SEPARATORS
    return st.lists(st.tuples(items, separators), min_size=1, max_size=4).map(_list)
