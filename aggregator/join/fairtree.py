"""How is each association served beside those of its level, by Fair Tree?"""

import math
from collections.abc import Iterable, Mapping

from aggregator.model.association import Association, Fairshare, Qos
from aggregator.model.usage import RawUsage

BILLING = "billing"
EXPORTER, APPROXIMATION = "slurm_exporter", "approximation"


def fairshares(
    associations: Iterable[Association],
    ratios: Mapping[int, float],
    raw: RawUsage | None,
    levels: Mapping[str, float],
) -> dict[int, Fairshare]:
    """Give the fair share by association id, from what is left of the usage, and accounts' levels that slurmctld says.

    ratios are shares ÷ level shares by id, levels by account, infinite where nothing was used.
    """
    rows = tuple(associations)
    accounts = {row.account: row for row in rows if not row.user}
    return {row.id: _fairshare(row, accounts, ratios.get(row.id), raw, levels) for row in rows}


def counts_whole(associations: Iterable[Association], qos: Mapping[int, Qos]) -> bool:
    """Tell whether every job's usage counts once: no QOS that anybody may use has another UsageFactor.

    slurmdbd's roll-ups leave the factor out, and most releases do not tell by which QOS something was used.
    """
    allowed = frozenset[int]().union(*(row.qos | row.added_qos for row in associations))
    if allowed and not qos:
        # slurmdbd always has a QOS: its table may not be read, and the factors are not known.
        return False
    return all(qos[qos_id].usage_factor == 1 for qos_id in allowed if qos_id in qos)


def _fairshare(
    row: Association,
    accounts: Mapping[str, Association],
    ratio: float | None,
    raw: RawUsage | None,
    levels: Mapping[str, float],
) -> Fairshare:
    used = _usage_ratio(row, accounts, raw) if raw else None
    if not row.user and row.account in levels:
        level = levels[row.account]
        return Fairshare(used, None if math.isinf(level) else level, EXPORTER)
    # One with `parent` competes through those below it, or comes first of all.
    if row.shares is None or ratio is None or used is None:
        return Fairshare(used)
    return Fairshare(used, _level(ratio, used), APPROXIMATION)


def _level(shares: float, used: float) -> float | None:
    """Give shares ÷ usage; None for infinity. Without shares it is 0, whatever was used."""
    if not shares:
        return 0.0
    return shares / used if used else None


def _usage_ratio(row: Association, accounts: Mapping[str, Association], raw: RawUsage) -> float | None:
    """Give usage ÷ that of the account above, or of the nearest above that has shares of its own."""
    above = _parent(row, accounts)
    own, whole = raw.of(row, BILLING), raw.of(above, BILLING) if above else None
    if own is None or whole is None:
        return None
    return own / whole if whole else 0.0


def _parent(row: Association, accounts: Mapping[str, Association]) -> Association | None:
    seen = set[str]()
    above = accounts.get(row.account if row.user else row.parent)
    while above is not None and above.shares is None and above.parent and above.account not in seen:
        seen.add(above.account)
        above = accounts.get(above.parent)
    return above
