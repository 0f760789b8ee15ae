"""What open runs hold of each limit, as slurmctld counts it: who may submit, and what may start."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from aggregator.model.accounting import Run
from aggregator.model.association import (
    QUANTITIES,
    RUNNING_JOBS,
    RUNNING_TRES_SECONDS,
    SUBMITTED_JOBS,
    Association,
    Qos,
    is_group_limit,
)
from aggregator.model.tres import Allocation

# Whose runs are counted together: a kind, and names.
_Bucket = tuple[str, ...]
_Owner = tuple[str, str, str]  # account, user, QOS


class _Rule(NamedTuple):
    """One limit of some runs together."""

    bucket: _Bucket
    quantity: str
    tres: str
    value: float


@dataclass(slots=True)
class _Held:
    """What the runs of a bucket hold; until is Σ TRES × the time at which each run reaches its time limit."""

    jobs: int = 0
    submitted: int = 0
    tres: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    until: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))


class Claim(NamedTuple):
    """What a submission holds once it runs: its jobs, TRES, and for how long it may."""

    jobs: int
    tres: Mapping[str, float]
    seconds: float


def needed_by(runs: Sequence[Run]) -> Claim:
    """Add up the components of a submission."""
    tres: defaultdict[str, float] = defaultdict(float)
    for run in runs:
        for name, amount in _amounts(run.requested):
            tres[name] += amount
    return Claim(len(runs), dict(tres), runs[0].time_limit_seconds or 0.0)


class Limiter:
    """Counts open runs against the limits of associations and QOS."""

    def __init__(self, associations: Iterable[Association], qos: Iterable[Qos]) -> None:
        self._accounts = {row.account: row for row in associations if not row.user}
        self._qos = {each.name: each for each in qos}
        self._rules: dict[_Owner, tuple[_Rule, ...]] = {}
        self._held: defaultdict[_Bucket, _Held] = defaultdict(_Held)

    def may_submit(self, run: Run, tasks: int) -> bool:
        """Tell whether the owner may have so many more jobs in the queue."""
        return all(
            self._held[rule.bucket].submitted + tasks <= rule.value
            for rule in self._rules_of(run)
            if rule.quantity == SUBMITTED_JOBS
        )

    def may_start(self, owner: Run, needed: Claim, at: float) -> bool:
        """Tell whether a submission of the owner of a run may start now, all its components together."""
        return all(self._has_room(rule, needed, at) for rule in self._rules_of(owner))

    def count_submitted(self, run: Run, tasks: int) -> None:
        """Count jobs that have come to the queue, or left it for good (negative)."""
        for bucket in {rule.bucket for rule in self._rules_of(run)}:
            self._held[bucket].submitted += tasks

    def count_running(self, run: Run, sign: int) -> None:
        """Count a run that has started (1), or ended (-1)."""
        until = (run.start or 0.0) + (run.time_limit_seconds or 0.0)
        for bucket in {rule.bucket for rule in self._rules_of(run)}:
            held = self._held[bucket]
            held.jobs += sign
            for tres, amount in _amounts(run.allocated):
                held.tres[tres] += sign * amount
                held.until[tres] += sign * amount * until

    def _has_room(self, rule: _Rule, needed: Claim, at: float) -> bool:
        if rule.quantity == SUBMITTED_JOBS:
            return True
        held = self._held[rule.bucket]
        if rule.quantity == RUNNING_JOBS:
            return held.jobs + needed.jobs <= rule.value
        amount = needed.tres.get(rule.tres, 0.0)
        if not amount:
            return True
        if rule.quantity == RUNNING_TRES_SECONDS:
            return held.until[rule.tres] - at * held.tres[rule.tres] + amount * needed.seconds <= rule.value
        return held.tres[rule.tres] + amount <= rule.value

    def _rules_of(self, run: Run) -> tuple[_Rule, ...]:
        owner = (run.account, run.user, run.qos)
        known = self._rules.get(owner)
        if known is None:
            known = self._rules[owner] = (*self._of_associations(*owner), *self._of_qos(*owner))
        return known

    def _of_associations(self, account: str, user: str, _: str) -> Iterator[_Rule]:
        """Give the group limits of every level, and the others from the nearest that sets them."""
        nearest: set[tuple[str, str]] = set()
        for level in self._chain(account):
            for key, value in level.limits.items():
                bucket = ("account", level.account) if is_group_limit(key[0]) else ("user", account, user)
                if key[0] in QUANTITIES and key not in nearest:
                    yield _Rule(bucket, QUANTITIES[key[0]], key[1], value)
                if not is_group_limit(key[0]):
                    nearest.add(key)

    def _chain(self, account: str) -> Iterator[Association]:
        while account in self._accounts:
            yield self._accounts[account]
            account = self._accounts[account].parent

    def _of_qos(self, account: str, user: str, name: str) -> Iterator[_Rule]:
        qos = self._qos.get(name, Qos(name))
        for (limit, tres), value in qos.limits.items():
            if limit in QUANTITIES:
                whose = (user,) if limit.endswith("PerUser") else (account, "") if limit.endswith("PerAccount") else ()
                yield _Rule(("qos", name, *whose), QUANTITIES[limit], tres, value)


def _amounts(held: Allocation) -> Iterator[tuple[str, float]]:
    yield "cpu", held.cpus
    yield "mem", held.memory_bytes or 0
    if held.gpus:
        yield "gres/gpu", held.gpu_count
