"""How often the loops of a service have come round, as its own families say."""

import re
from collections import Counter

from tests.differential.intended import MEASURED

_AGE = re.compile(r'hpc_aggregator_loop_age_seconds\{loop="(.*)"\} (\S+)')
_MEASURED = re.compile(rf"(?:{'|'.join(MEASURED)})[{{ ]")


class Rounds:
    """Count for each loop how often it came round since anything has changed that the service says of itself."""

    def __init__(self) -> None:
        self._ages: dict[str, float] = {}
        self._counts: Counter[str] = Counter()
        self._said: frozenset[str] = frozenset()

    def look(self, page: str) -> int:
        """Take the page of the service's own families; give the count of the slowest loop, 0 without any."""
        lines = [line for line in page.split("\n") if line[:1] != "#"]
        said = frozenset(line for line in lines if not _MEASURED.match(line))
        if said != self._said:
            self._said = said
            self._counts.clear()
        ages = {match[1]: float(match[2]) for match in map(_AGE.fullmatch, lines) if match}
        # An age that has become less: the loop came round between the two looks.
        self._counts.update(loop for loop, age in ages.items() if age < self._ages.get(loop, 0.0))
        self._ages = ages
        return min((self._counts[loop] for loop in ages), default=0)
