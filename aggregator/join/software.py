"""Which software do the executables belong to, and what part of the whole is that?"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Final

from aggregator.join.series import OTHERS, moment
from aggregator.model.series import Line
from aggregator.model.software import UNIDENTIFIED, Share, Shares, Software

# Sites with more are not served by a list, nor is a browser.
MOST_SHARES: Final = 200


def software_of(path: str, known: Sequence[Software]) -> str:
    """Name the software of an executable: the first whose pattern is found in its path."""
    return next((each.name for each in known if each.pattern.search(path)), UNIDENTIFIED)


def directory_of(path: str) -> str:
    """Give the top directory of an absolute path: where its software is stored, and nobody's name."""
    parts = path.split("/", 2)
    return f"/{parts[1]}" if len(parts) == 3 and not parts[0] and parts[1] else ""


def shares_of(executables: Sequence[Line], whole: Sequence[Line], known: Sequence[Software]) -> Shares:
    """Add up what executables use by software and top directory, as means over the time in which anything is known.

    An executable uses nothing while it has no point, so that the means add up to that of the whole.
    """
    times = {moment(time) for line in chain(executables, whole) for time, _ in line.points}
    sums: defaultdict[tuple[str, str], float] = defaultdict(float)
    for line in executables:
        path = line.labels.get("exe", "")
        sums[software_of(path, known), directory_of(path)] += _total([line])
    shares = [Share(*key, total / len(times)) for key, total in sums.items() if total]
    measured = _total(whole) / len(times) if any(line.points for line in whole) else None
    return Shares(tuple(_fold(sorted(shares, key=lambda share: (-share.value, share)))), measured)


def _total(lines: Iterable[Line]) -> float:
    return sum(value for line in lines for _, value in line.points)


def _fold(shares: Sequence[Share]) -> Sequence[Share]:
    rest = shares[MOST_SHARES:]
    return [*shares[:MOST_SHARES], *([Share(OTHERS, "", sum(share.value for share in rest))] if rest else ())]
