"""What was compared and what differs, in words."""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from tests.differential.intended import INTENDED, Intended, intention, is_measured
from tests.differential.page import Difference, families, samples

# Of one family.
_SHOWN = 3


@dataclass
class Report:
    """Collect what is found at each moment of each input; *table* has the differences that are meant."""

    table: tuple[Intended, ...] = INTENDED
    unintended: int = 0
    _met: set[Intended] = field(default_factory=set)
    _with_samples: set[str] = field(default_factory=set)

    def judge(self, of: str, found: Sequence[Difference]) -> tuple[list[Difference], list[Difference]]:
        """Sort the differences in an input: those that are not intended, and those that are."""
        worth = [each for each in found if not is_measured(each)]
        return (
            [each for each in worth if intention(each, of, self.table) is None],
            [each for each in worth if intention(each, of, self.table) is not None],
        )

    def note(self, of: str, moment: str, page: str, found: Sequence[Difference], seconds: float) -> list[str]:
        """Take what was found at one moment; give the lines that say it."""
        wrong, meant = self.judge(of, found)
        self.unintended += len(wrong)
        self._met |= {why for each in meant if (why := intention(each, of, self.table))}
        counts, heads = samples(page), families(page)
        self._with_samples |= {_plain(name) for name in heads if any(counts[name + end] for end in ("", "_count"))}
        head = (
            f"{of:<10} {moment:<42} {len(heads):4} families {counts.total():7,} samples"
            f" {len(wrong):5} differences {len(meant):4} intended {seconds:6.1f} s"
        )
        return [head, *_listed(wrong)]

    def end(self, documented: Collection[str], *, whole: bool) -> tuple[list[str], bool]:
        """Give the last lines, and whether all is well; *whole* says that every input was read."""
        lines = [
            f"not seen in any input: {name}"
            for name in sorted({*map(_plain, documented)} - self._with_samples)
            if whole
        ]
        unmet = [each for each in self.table if each not in self._met] if whole else []
        lines += [f"listed as intended, and does not occur: {each.family}: {each.why}" for each in unmet]
        lines.append(f"{len(self._with_samples)} families with samples, {self.unintended} unintended differences")
        return lines, not self.unintended and not unmet


def _plain(name: str) -> str:
    return name.removesuffix("_total")


def _listed(found: Sequence[Difference]) -> list[str]:
    """List some differences of each family, and how many there are."""
    of_families: dict[str, list[Difference]] = defaultdict(list)
    for each in found:
        of_families[each.family].append(each)
    lines = []
    for family, these in of_families.items():
        kinds = Counter(_kind(each) for each in these)
        said = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        lines += [f"    {family}: {said}", *(f"        {each}" for each in these[:_SHOWN])]
    return lines


def _kind(difference: Difference) -> str:
    if difference.is_of_value:
        return "with another value"
    return "missing in the new edition" if not difference.new else "new" if not difference.old else "repeated"
