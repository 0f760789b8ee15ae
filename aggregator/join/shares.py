"""What part of its level do an association's shares give it, by Fair Tree?"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from aggregator.model.association import Association


def shares_ratios(associations: Iterable[Association]) -> dict[int, float]:
    """Give shares ÷ level shares by association id; the root, a level of 0, and what is not in a sound tree have none.

    Accounts and users below one account share a level. One with `parent` has its parent's part, and its children
    compete with those beside it.
    """
    children: defaultdict[str, list[Association]] = defaultdict(list)
    roots = []
    for association in associations:
        above = association.account if association.user else association.parent
        if above:
            children[above].append(association)
        else:
            roots.append(association.account)
    ratios: dict[int, float] = {}
    for root in roots:
        _share(root, children, ratios)
    return ratios


def _share(root: str, children: Mapping[str, list[Association]], ratios: dict[int, float]) -> None:
    """Fill in the ratios of everything below the root, which is in no level."""
    levels: list[tuple[str, float | None]] = [(root, None)]
    while levels:
        account, ratio = levels.pop()
        members = list(_level(account, children))
        total = sum(member.shares or 0 for member in members)
        for member in members:
            part = ratio if member.shares is None else member.shares / total if total else None
            if part is not None:
                ratios[member.id] = part
            if not member.user and member.shares is not None:
                levels.append((member.account, part))


def _level(account: str, children: Mapping[str, list[Association]]) -> Iterable[Association]:
    """List those that compete below an account: its children, and those of the children with `parent`."""
    for child in children.get(account, ()):
        yield child
        if child.shares is None and not child.user:
            yield from _level(child.account, children)
