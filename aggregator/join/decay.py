"""What is left of usage, as slurmctld decays it: given slurmdbd's roll-ups, and the jobs' own rows since?"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from aggregator.join.usage import tail_begin, upwards, used_by
from aggregator.model.accounting import Run
from aggregator.model.decay import Decay
from aggregator.model.usage import DecayedUsage, RawUsage, UsageCatalog

_Sums = defaultdict[str, float]


def raw_usage(decayed: DecayedUsage, catalog: UsageCatalog, runs: Iterable[Run], now: float) -> RawUsage | None:
    """Bring what was read to `now` and add what runs have used since, of every association and up the tree.

    None when the last roll-up is too long ago. A deleted association's usage stays with the accounts above it.
    """
    if tail_begin(decayed.until, now) is None:
        return None
    own: defaultdict[tuple[int | None, str], _Sums] = defaultdict(lambda: defaultdict(float))
    left = decayed.decay.weight(now - decayed.time)
    for (number, tres), seconds in decayed.associations.items():
        # One that nobody has used may have been removed since it was read.
        if number in catalog.associations:
            own[number, catalog.associations[number][1]][tres] += seconds * left
    ids = {pair: number for number, pair in catalog.associations.items()}
    for run in runs:
        id_assoc = run.association_id or ids.get((run.user, run.account))
        for tres, seconds in _used_by(run, decayed, now):
            own[id_assoc, run.account][tres] += seconds
    associations: defaultdict[int, _Sums] = defaultdict(lambda: defaultdict(float))
    for (id_assoc, _), sums in own.items():
        if id_assoc is not None:
            _add(associations[id_assoc], sums)
    return RawUsage(decayed.tres, associations, _accounts(own, catalog))


def _used_by(run: Run, decayed: DecayedUsage, now: float) -> Iterator[tuple[str, float]]:
    """Give what is left of what a run has used since the roll-up; it used it evenly while it ran."""
    begin, end = max(run.start or 0.0, decayed.until), min(run.end or now, now)
    left = _left(decayed.decay, begin, end, now)
    for tres, seconds in used_by(run, decayed.until, now):
        if tres in decayed.tres:
            yield tres, seconds * left


def _left(decay: Decay, begin: float, end: float, now: float) -> float:
    return decay.mean_weight(begin, end, now) if end > begin else 0.0


def _accounts(
    own: Mapping[tuple[int | None, str], Mapping[str, float]], catalog: UsageCatalog
) -> dict[str, Mapping[str, float]]:
    """Add each association's usage to its account and to all above it."""
    of_account: defaultdict[str, _Sums] = defaultdict(lambda: defaultdict(float))
    for (_, account), sums in own.items():
        _add(of_account[account], sums)
    accounts: defaultdict[str, _Sums] = defaultdict(lambda: defaultdict(float))
    for account, sums in of_account.items():
        for name in upwards(account, catalog.parents):
            _add(accounts[name], sums)
    return dict(accounts)


def _add(sums: _Sums, more: Mapping[str, float]) -> None:
    for tres, seconds in more.items():
        sums[tres] += seconds
