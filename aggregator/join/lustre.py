"""Whose input and output do Lustre's servers see?

A job id lives on through requeues: a rate belongs to a run only when no other run of the id can have had a part of the
window, to a user and account when all runs that can have had one are theirs. slurmacct is believed before the proxy's
labels, which name the first run that was ever found. What cannot be told is unknown, and never left out.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aggregator.model.accounting import Run
from aggregator.model.lustre import JobLustre, Kind, LustreIo, LustreSums, LustreUse, LustreView, Part, Sender

# Clocks of servers, Slurm and Prometheus may differ by this much.
SKEW_SECONDS: Final = 30.0
ROOT: Final = {0: "root"}
# account, user
_Owner = tuple[str, str]
_UNKNOWN: Final[tuple[Part, _Owner]] = ("unknown", ("", ""))


def join_lustre(use: LustreUse, runs: Iterable[Run], users: Mapping[int, str]) -> LustreView:
    """Attribute every rate to a part, and all but the unknown to a user; users names uids that are not in the runs."""
    by_id: defaultdict[int, list[Run]] = defaultdict(list)
    for run in runs:
        by_id[run.job_id].append(run)
    owners = _Owners(use, by_id, users)
    sums = _Sums()
    for kind, rates in use.kinds:
        for sender, rate in rates.items():
            sums.add(owners.of(sender), sender, kind, rate)
    return LustreView(use.time, _jobs(use, by_id, sums.jobs), sums.users, sums.accounts, sums.parts)


def names_of(runs: Iterable[Run]) -> dict[int, str]:
    """Name the uids that the runs tell of."""
    return {run.uid: run.user for run in runs if run.uid is not None}


def unnamed(use: LustreUse, known: Mapping[int, str]) -> frozenset[int]:
    """Give the uids that have no name yet."""
    every = {sender.uid for _, rates in use.kinds for sender in rates if sender.uid is not None}
    return frozenset(every - known.keys() - ROOT.keys())


@dataclass(frozen=True, slots=True)
class _Owners:
    use: LustreUse
    runs: Mapping[int, Sequence[Run]]
    users: Mapping[int, str]

    def of(self, sender: Sender) -> tuple[Part, _Owner]:
        """Tell whose a rate is."""
        if sender.job_id is not None:
            return self._of_job(sender.job_id, sender)
        if sender.uid is not None:
            name = ROOT.get(sender.uid) or self.users.get(sender.uid) or sender.user or str(sender.uid)
            return "users", ("", name)
        return _UNKNOWN

    def _of_job(self, job_id: int, sender: Sender) -> tuple[Part, _Owner]:
        runs = self.runs.get(job_id, ())
        # Data that clients write back late belong to a job that has ended before the window.
        owners = {(run.account, run.user) for run in _in_window(runs, self.use) or runs}
        if len(owners) == 1:
            return "jobs", owners.pop()
        if not owners and sender.user and sender.account:
            return "jobs", (sender.account, sender.user)
        return _UNKNOWN


def _in_window(runs: Iterable[Run], use: LustreUse) -> list[Run]:
    """Give the runs that can have caused what the window shows."""
    begin, end = use.time - use.window - SKEW_SECONDS, use.time + SKEW_SECONDS
    return [run for run in runs if run.start is not None and run.start <= end and (run.end or end) >= begin]


class _Ios:
    """Rates of one owner by file system, while they are added up."""

    def __init__(self) -> None:
        self._rates: dict[str, dict[Kind, float]] = {}

    def add(self, filesystem: str, kind: Kind, rate: float) -> None:
        rates = self._rates.setdefault(filesystem, {})
        rates[kind] = rates.get(kind, 0.0) + rate

    def done(self) -> dict[str, LustreIo]:
        return {filesystem: LustreIo(**rates) for filesystem, rates in sorted(self._rates.items())}


class _Sums:
    """Rates added up by job id, owner and part."""

    def __init__(self) -> None:
        self.jobs: defaultdict[int, _Ios] = defaultdict(_Ios)
        self._parts: defaultdict[Part, _Ios] = defaultdict(_Ios)
        self._users: defaultdict[_Owner, _Ios] = defaultdict(_Ios)
        self._accounts: defaultdict[str, _Ios] = defaultdict(_Ios)

    def add(self, owned: tuple[Part, _Owner], sender: Sender, kind: Kind, rate: float) -> None:
        part, owner = owned
        into = [self._parts[part]]
        if part != "unknown":
            into.append(self._users[owner])
        if owner[0]:
            into.append(self._accounts[owner[0]])
        if sender.job_id is not None:
            into.append(self.jobs[sender.job_id])
        for ios in into:
            ios.add(sender.filesystem, kind, rate)

    @property
    def users(self) -> tuple[LustreSums, ...]:
        return tuple(LustreSums(*owner, self._users[owner].done()) for owner in sorted(self._users))

    @property
    def accounts(self) -> tuple[LustreSums, ...]:
        return tuple(LustreSums(account, "", self._accounts[account].done()) for account in sorted(self._accounts))

    @property
    def parts(self) -> dict[Part, Mapping[str, LustreIo]]:
        return {part: ios.done() for part, ios in self._parts.items()}


def _jobs(use: LustreUse, runs: Mapping[int, Sequence[Run]], rates: Mapping[int, _Ios]) -> dict[int, JobLustre]:
    """Give the rates of those runs that are the only ones of their job id in the window."""
    found: dict[int, JobLustre] = {}
    for job_id, of_id in runs.items():
        present = _in_window(of_id, use)
        if len(present) == 1 and use.time - (present[0].start or 0.0) >= use.interval:
            own = rates[job_id].done() if job_id in rates else {}
            found[present[0].run_id] = JobLustre(own, _coverage(use, own))
    return found


def _coverage(use: LustreUse, filesystems: Iterable[str]) -> float | None:
    """Give the share that is seen of the run's file systems; of all, where it has none: what is not seen is not 0."""
    shares = [use.coverage[name] for name in set(filesystems) or use.coverage if name in use.coverage]
    return min(shares, default=None)
