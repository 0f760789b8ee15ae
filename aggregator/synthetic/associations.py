"""The associations of the synthetic cluster: shares, limits as a site might set them, and a coordinator per account."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from aggregator.model.association import Association, Associations, Limits, Qos, is_group_limit
from aggregator.model.tres import MEBIBYTE
from aggregator.synthetic.population import Population

_HOUR, _DAY = 3600.0, 86_400.0
_ROOT: Final[Limits] = {("MaxSubmitJobs", ""): 1000.0, ("MaxJobs", ""): 500.0}
# A group without an award may use a corner of the cluster; one with an award must not plan too far ahead.
_DEFAULT: Final[Limits] = {
    ("GrpTRES", "cpu"): 480.0, ("GrpTRES", "mem"): 2_000_000.0 * MEBIBYTE, ("GrpTRES", "gres/gpu"): 8.0,
    ("GrpSubmitJobs", ""): 2000.0,
}  # fmt: skip
AWARDED: Final[Limits] = {
    ("GrpTRESRunMins", "cpu"): 2000.0 * _DAY, ("GrpTRESRunMins", "gres/gpu"): 24.0 * _DAY,
    ("GrpTRESMins", "gres/gpu"): 400.0 * _DAY,
}  # fmt: skip
QOS: Final[Mapping[int, Qos]] = {
    1: Qos("normal", {("MaxWall", ""): 7 * _DAY, ("MaxTRESPerUser", "gres/gpu"): 16.0}),
    2: Qos("large", {("MaxWall", ""): 3 * _DAY, ("GrpTRES", "cpu"): 1536.0, ("MaxJobsPerUser", ""): 4.0}, priority=10),
    3: Qos("interactive", {("MaxWall", ""): 8 * _HOUR, ("MaxJobsPerUser", ""): 6.0}, priority=20),
}


def make_associations(population: Population) -> tuple[Association, ...]:
    """Give every account and user an association."""
    ids = itertools.count(1)
    accounts = [
        Association(
            id=next(ids),
            account=account.name,
            parent=account.parent,
            shares=100 if account.name.startswith("rrg-") else 1,
            limits=_limits(account.name),
            qos=frozenset() if account.parent else frozenset(QOS),
        )
        for account in population.accounts.values()
    ]
    users = [
        Association(id=next(ids), account=account, user=user.name)
        for user in population.users
        for account in user.accounts
    ]
    return (*accounts, *users)


def make_qos(size: float) -> Mapping[int, Qos]:
    """Give the QOS; on a cluster of twice the size twice as many people together may have twice as much."""
    return {number: replace(each, limits=_scaled(each.limits, size)) for number, each in QOS.items()}


def in_frames(population: Population, rows: Iterable[Association], qos: Mapping[int, Qos]) -> Associations:
    """Give them as slurmacct's source would; the first user of an account coordinates it."""
    organizations = {name: account.organization for name, account in population.accounts.items()}
    return Associations.of(rows, qos, _coordinators(population), organizations)


def _scaled(limits: Limits, size: float) -> Limits:
    return {key: value * size if is_group_limit(key[0]) else value for key, value in limits.items()}


def _limits(account: str) -> Limits:
    if account == "root":
        return _ROOT
    return _DEFAULT if account.startswith("def-") else AWARDED if account.endswith("-ab") else {}


def _coordinators(population: Population) -> Iterable[tuple[str, str]]:
    first = {account: user.name for user in reversed(population.users) for account in user.accounts}
    return first.items()
