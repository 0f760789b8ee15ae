"""What does a snapshot show of the ledger?"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aggregator.join.ledger import add_totals
from aggregator.model.accounting import Run
from aggregator.model.energy import JobPower, Ledger, Power, Prices, Totals
from aggregator.model.view import EnergySums, JobEnergy, NodeEnergy

_NO_POWER = JobPower()
# A user who has not run anything for this long is not on the page any more; the state keeps the totals.
QUIET_SECONDS = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class LedgerView:
    """The ledger as it stands, the power of its last window (None: stale), and the factors it is kept by."""

    prices: Prices
    ledger: Ledger
    power: Power | None = None

    def energy_of(self, run: Run) -> JobEnergy | None:
        """Give one run's energy and power; None for a run that the ledger has not seen."""
        totals = self.ledger.runs.get(run.run_id)
        if totals is None:
            return None
        # Also of a run that ended in that window: without it the jobs would not add up to their nodes.
        power = self.power.jobs.get(run.run_id, _NO_POWER) if self.power else _NO_POWER
        host = power.host_watts.get(self.prices.model) if power.host_watts is not None else None
        return JobEnergy(self.prices.model, totals.joules(self.prices.model), host, power.gpu_watts, power.coverage)

    def users(self) -> tuple[EnergySums, ...]:
        """List the users' totals under each account."""
        return tuple(EnergySums(account, user, totals) for (user, account), totals in sorted(self._recent().items()))

    def accounts(self) -> tuple[EnergySums, ...]:
        """Add up each account's users."""
        sums: dict[str, Totals] = {}
        shown = {account for _, account in self._recent()}
        for (_, account), totals in sorted(self.ledger.users.items()):
            # Also of those users who are not shown: an account's counter must not go back when one falls silent.
            if account in shown:
                sums[account] = add_totals(sums.get(account), totals)
        return tuple(EnergySums(account, "", totals) for account, totals in sums.items())

    def nodes(self) -> tuple[NodeEnergy, ...]:
        """List the nodes that have been measured."""
        watts, meters = (self.power.nodes, self.power.meters) if self.power else ({}, {})
        return tuple(
            NodeEnergy(node, totals, watts.get(node), meters.get(node, ""))
            for node, totals in sorted(self.ledger.nodes.items())
        )

    def _recent(self) -> Mapping[tuple[str, str], Totals]:
        oldest = self.ledger.window_end - QUIET_SECONDS
        return {key: totals for key, totals in self.ledger.users.items() if totals.until >= oldest}


def by_component(nodes: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Add up nodes' watts or joules by component."""
    sums: dict[str, float] = {}
    for components in nodes:
        for component, amount in components.items():
            sums[component] = sums.get(component, 0.0) + amount
    return sums
