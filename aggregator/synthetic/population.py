"""Who is on the synthetic cluster: accounts, their organizations, and users."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

_INITIALS = "abcdefghjklmnprstvyz"
_SURNAMES = (
    "tremblay", "singh", "nguyen", "macdonald", "chen", "okafor", "lavoie", "garcia", "haddad", "kowalski", "olsen",
    "iyer", "bouchard", "tanaka", "fraser", "moreau", "petrov", "silva", "ahmed", "gagnon", "schmidt", "leblanc",
    "kim", "rossi", "dubois", "novak", "mensah", "fortin", "wong", "hansen", "cloutier", "peeters", "yilmaz", "roy",
    "sato", "campbell", "ortiz", "pelletier", "zhang", "murphy",
)  # fmt: skip
_ORGANIZATIONS = (
    "physics",
    "chemistry",
    "genomics",
    "computer-science",
    "engineering",
    "ocean-science",
    "neuroscience",
)
_USERS_PER_GROUP = 4
_FIRST_UID = 20_001


@dataclass(frozen=True, slots=True)
class Account:
    """One account; parent is "" for the root."""

    name: str
    parent: str = ""
    organization: str = ""


@dataclass(frozen=True, slots=True)
class User:
    """One user with the accounts that they may charge, the usual one first."""

    name: str
    accounts: tuple[str, ...]
    uid: int


@dataclass(frozen=True, slots=True)
class Population:
    """The account tree and the users in it; `groups` are the accounts that also own files."""

    accounts: Mapping[str, Account]
    users: tuple[User, ...]
    groups: tuple[str, ...]


def make_population(rng: Random, users: int) -> Population:
    """Make research groups of about four users, every third with a competitive award."""
    leads = [_lead(number) for number in range(max(1, users // _USERS_PER_GROUP))]
    accounts = {"root": Account("root")}
    charged: list[tuple[str, ...]] = []
    for number, lead in enumerate(leads):
        organization = _ORGANIZATIONS[number % len(_ORGANIZATIONS)]
        group = _group_accounts(lead, organization, awarded=number % 3 == 0)
        accounts.update({account.name: account for account in group})
        charged.append(_chargeable(group))
    names = rng.sample([initial + name for initial, name in itertools.product(_INITIALS, _people(len(leads)))], users)
    members = tuple(User(name, charged[number % len(leads)], _FIRST_UID + number) for number, name in enumerate(names))
    groups = tuple(name for name, account in accounts.items() if account.parent == "root")
    return Population(accounts, members, groups)


def _lead(number: int) -> str:
    repeat, position = divmod(number, len(_SURNAMES))
    return _SURNAMES[position] + (str(repeat + 1) if repeat else "")


def _people(leads: int) -> list[str]:
    return [_lead(number) for number in range(max(len(_SURNAMES), leads))]


def _group_accounts(lead: str, organization: str, awarded: bool) -> list[Account]:
    accounts = [Account(f"def-{lead}", "root", organization)]
    if awarded:
        award = f"rrg-{lead}-ab"
        accounts.append(Account(award, "root", organization))
        accounts.extend(Account(f"{award}_{kind}", award, organization) for kind in ("cpu", "gpu"))
    return accounts


def _chargeable(group: list[Account]) -> tuple[str, ...]:
    parents = {account.parent for account in group}
    return tuple(account.name for account in group if account.name not in parents)
