"""What does one more window add to the totals of each run, user and node?"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from aggregator.join.attribution import Attribution, Shares, Tenant, attribute, is_known
from aggregator.join.boards import Viewer, own_gpu_watts
from aggregator.join.efficiency import COVERAGE_FLOOR
from aggregator.join.price import co2_grams, energy_cost, hardware_cost
from aggregator.join.use import gpu_use
from aggregator.model.accounting import JobState, Run
from aggregator.model.energy import (
    METERS,
    JobPower,
    Ledger,
    NodePower,
    NodeTotals,
    Power,
    PowerWindow,
    Prices,
    RunLedger,
    Totals,
)

K = TypeVar("K")
# Longer than any retention of ended jobs on the page needs to be.
KEEP_ENDED_SECONDS = 3600.0


@dataclass(slots=True)
class _Gain:
    """What one run gains in one window.

    host and gpu are its joules, watts and gpu_watts its power while the nodes were measured. nodes counts those nodes
    whose power is known, known those of which all is known that its part rests on. meters has the share of its nodes
    and of the window by the meter.
    """

    run: Run
    seconds: float
    nodes: int = 0
    known: float = 0.0
    host: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    gpu: float = 0.0
    watts: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    gpu_watts: float = 0.0
    meters: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def coverage(self) -> float:
        """Give the share of the run's nodes and of the window in which all is known."""
        return self.known / max(len(self.run.nodes), 1)

    @property
    def is_measured(self) -> bool:
        """Tell whether any of its power is known: nothing measured is not 0 joules."""
        return self.nodes > 0


class LedgerBook:
    """Add windows to a ledger, oldest first; the ledger that was given stays as it is."""

    def __init__(self, ledger: Ledger, prices: Prices) -> None:
        self._prices = prices
        self._window_end = ledger.window_end
        self._runs = dict(ledger.runs)
        self._users = dict(ledger.users)
        self._nodes = dict(ledger.nodes)
        self.power = Power(ledger.window_end)

    def add(self, window: PowerWindow, runs: Iterable[Run]) -> None:
        """Add one window; runs are those that may have been on nodes in it, each once."""
        gains = _present(runs, window)
        nodes = self._share(window, gains)
        for gain in gains:
            self._add_run(gain, window)
        meters = {name: window.nodes[name].meter for name in nodes}
        self.power = Power(window.end, _job_power(gains, window.seconds), nodes, meters)
        self._window_end = window.end

    def ledger(self) -> Ledger:
        """Give the totals so far; runs that ended long ago are left out, nobody asks a snapshot for them."""
        oldest = self._window_end - KEEP_ENDED_SECONDS
        runs = {run_id: totals for run_id, totals in self._runs.items() if totals.until >= oldest}
        return Ledger(self._window_end, runs, dict(self._users), dict(self._nodes))

    def _share(self, window: PowerWindow, gains: Sequence[_Gain]) -> dict[str, Mapping[str, float]]:
        """Share each node's energy between its tenants; give its watts by component.

        Of a node whose power is not known nothing is shared, not even that of its GPUs: jobs add up to nodes.
        """
        tenants: dict[str, list[_Gain]] = defaultdict(list)
        for gain in gains:
            for name in gain.run.nodes:
                tenants[name].append(gain)
        watts: dict[str, Mapping[str, float]] = {}
        # In one order, so that all replicas round alike.
        for name in sorted(window.nodes):
            if window.nodes[name].watts is not None:
                watts[name] = self._share_node(name, window, tenants.get(name, []))
        return watts

    def _share_node(self, name: str, window: PowerWindow, present: Sequence[_Gain]) -> Mapping[str, float]:
        tenants = _tenants(present, name, window)
        node = _with_gpus(window.nodes[name], tenants, window.seconds)
        shared = attribute(node, tenants, window.seconds)
        before = self._nodes.get(name, NodeTotals(window.end, meter=node.meter))
        meter = min(before.meter, node.meter, key=METERS.index)
        for index, gain in enumerate(present):
            is_known_here = node.meter == meter and is_known(node, tenants[index], self._prices.model)
            _credit(gain, index, shared, node, window.seconds, is_known_here)
        joules = _by_component(shared, self._prices.model)
        covered = window.seconds * node.covered
        self._nodes[name] = NodeTotals(
            window.end,
            _added(before.joules, {component: amount * node.covered for component, amount in joules.items()}),
            before.power_seconds + (covered if node.meter == meter else 0.0),
            before.fallback_seconds + (0.0 if node.meter == meter else covered),
            meter,
        )
        return {component: amount / window.seconds for component, amount in joules.items()}

    def _add_run(self, gain: _Gain, window: PowerWindow) -> None:
        run, prices = gain.run, self._prices
        begin, end = max(window.begin, run.start or window.begin), min(window.end, run.end or window.end)
        before = self._runs.get(run.run_id, RunLedger(begin, end))
        joules = gain.host.get(prices.model, 0.0) + gain.gpu
        grams = co2_grams(prices, joules) if gain.is_measured else None
        hardware = hardware_cost(prices, run.held_at(window.begin), gain.seconds)
        cost = {**(energy_cost(prices, joules) if gain.is_measured else {}), **hardware}
        after = replace(
            before,
            until=end,
            power_seconds=before.power_seconds + gain.seconds * gain.coverage,
            meters=_added(before.meters, {meter: part * gain.seconds for meter, part in gain.meters.items()}),
            host_joules=_added(before.host_joules, gain.host),
            gpu_joules=before.gpu_joules + gain.gpu,
            co2_grams=_sum(before.co2_grams, grams),
            cost=_added(before.cost, cost),
        )
        self._runs[run.run_id] = _judge_gpus(after, run, gain.seconds, window)
        self._add_user(run, Totals(window.end, joules if gain.is_measured else None, grams, cost))

    def _add_user(self, run: Run, more: Totals) -> None:
        key = (run.user, run.account)
        self._users[key] = add_totals(self._users.get(key), more)


def add_totals(before: Totals | None, more: Totals) -> Totals:
    """Add totals to those before; what neither knows stays unknown."""
    if before is None:
        return more
    return Totals(
        max(before.until, more.until),
        _sum(before.joules, more.joules),
        _sum(before.co2_grams, more.co2_grams),
        _added(before.cost, more.cost),
    )


def _present(runs: Iterable[Run], window: PowerWindow) -> list[_Gain]:
    """Find the runs that were on nodes in the window, and for how long."""
    gains = []
    for run in runs:
        if run.start is not None:
            seconds = min(run.end or window.end, window.end) - max(run.start, window.begin)
            if seconds > 0:
                gains.append(_Gain(run, seconds))
    return gains


def _tenants(present: Sequence[_Gain], node: str, window: PowerWindow) -> list[Tenant]:
    """Describe the runs on one node, and the power of each one's own GPUs."""
    viewers = [
        Viewer(
            gain.seconds,
            gain.run.allocated.gpu_equivalents,
            window.job_gpu_watts.get(gain.run.job_id, {}).get(node, ()),
        )
        for gain in present
    ]
    own = own_gpu_watts(viewers, window.seconds)
    return [_tenant(gain, node, window, watts) for gain, watts in zip(present, own, strict=True)]


def _tenant(gain: _Gain, node: str, window: PowerWindow, gpu_watts: float | None) -> Tenant:
    """Describe a run on one of its nodes; what it holds is taken as spread evenly, slurmacct does not say more."""
    run, use = gain.run, window.use
    held, count = run.held_at(window.begin), len(run.nodes)
    whole = gain.seconds >= window.seconds
    # A job that has no series on a node whose exporter answers does nothing there, unless it has only just begun.
    absent = 0.0 if whole and use.healthy_nodes is not None and node in use.healthy_nodes else None
    return Tenant(
        seconds=gain.seconds,
        cpus=held.cpus / count,
        memory_bytes=(held.memory_bytes or 0) / count,
        gpus=held.gpu_equivalents / count,
        busy_cpus=_of(use.cpus, run.job_id, node, absent),
        used_memory_bytes=_of(use.memory_bytes, run.job_id, node, absent),
        gpu_watts=gpu_watts,
        unseen_gpus=_unseen_gpus(run, node, window),
    )


def _unseen_gpus(run: Run, node: str, window: PowerWindow) -> float:
    """Count the run's GPUs on a node that no series shows; on all of its nodes they are no more than it lacks."""
    held, seen = run.allocated.gpu_equivalents, window.job_gpu_watts.get(run.job_id, {})
    lacking = held - sum(len(seen.get(name, ())) for name in run.nodes)
    return max(0.0, min(lacking, held / len(run.nodes) - len(seen.get(node, ()))))


def _with_gpus(node: NodePower, tenants: Sequence[Tenant], seconds: float) -> NodePower:
    """Add the power of the jobs' own GPUs to a node whose meter does not see any."""
    if not node.lacks_gpus or node.watts is None:
        return node
    return replace(
        node, watts=node.watts + sum((tenant.gpu_watts or 0.0) * tenant.seconds / seconds for tenant in tenants)
    )


def _of(values: Mapping[int, Mapping[str, float]] | None, job_id: int, node: str, absent: float | None) -> float | None:
    if values is None:
        return None
    return values.get(job_id, {}).get(node, absent)


def _credit(gain: _Gain, index: int, shared: Attribution, node: NodePower, seconds: float, known: bool) -> None:
    """Write a tenant's part of one node's joules, which are those of the covered part of the window."""
    gain.nodes += 1
    gain.known += node.covered if known else 0.0
    gain.meters[node.meter] += node.covered / len(gain.run.nodes)
    gain.gpu += shared.gpu.tenants[index] * node.covered
    gain.gpu_watts += shared.gpu.tenants[index] / seconds
    for model, shares in shared.host.items():
        gain.host[model] += shares.tenants[index] * node.covered
        gain.watts[model] += shares.tenants[index] / seconds


def _by_component(shared: Attribution, model: str) -> dict[str, float]:
    parts: tuple[Shares, Shares] = (shared.host[model], shared.gpu)
    return {
        "jobs": sum(sum(part.tenants) for part in parts),
        "idle": sum(part.idle for part in parts),
        "unattributed": sum(part.unattributed for part in parts),
    }


def _judge_gpus(totals: RunLedger, run: Run, seconds: float, window: PowerWindow) -> RunLedger:
    """Add the use of the run's GPUs, for windows that it filled: at its edges the samples may be another run's."""
    # A suspended run could not use its GPUs.
    if not run.allocated.gpu_count or run.state is JobState.SUSPENDED:
        return totals
    gpu = gpu_use(run, window.use) if seconds >= window.seconds else None
    if gpu is None or gpu.used is None or gpu.busy is None:
        return _unseen(totals, seconds)
    totals = replace(
        totals,
        gpu_seconds=totals.gpu_seconds + gpu.judged * seconds,
        gpu_used_seconds=totals.gpu_used_seconds + gpu.used * seconds,
    )
    if gpu.busy:
        totals = replace(totals, gpu_idle_seconds=0.0, gpu_unseen_seconds=0.0)
    if gpu.busy >= run.allocated.gpu_count:
        return replace(totals, gpu_partly_idle_seconds=0.0, gpu_partly_unseen_seconds=0.0)
    if gpu.coverage < COVERAGE_FLOOR:
        return _unseen(totals, seconds, is_one_busy=gpu.busy > 0)
    return replace(
        totals,
        gpu_idle_seconds=0.0 if gpu.busy else totals.gpu_idle_seconds + seconds,
        gpu_partly_idle_seconds=totals.gpu_partly_idle_seconds + seconds,
    )


def _unseen(totals: RunLedger, seconds: float, *, is_one_busy: bool = False) -> RunLedger:
    """Say for how long idle stretches were not observed; they are neither longer nor shorter by it."""
    return replace(
        totals,
        gpu_unseen_seconds=0.0 if is_one_busy else totals.gpu_unseen_seconds + seconds,
        gpu_partly_unseen_seconds=totals.gpu_partly_unseen_seconds + seconds,
    )


def _job_power(gains: Iterable[_Gain], seconds: float) -> dict[int, JobPower]:
    """Give each run's mean power over the whole window on the nodes that were measured, so that runs add up to them."""
    return {
        gain.run.run_id: JobPower(
            dict(gain.watts), gain.gpu_watts or None, gain.coverage * min(1.0, gain.seconds / seconds)
        )
        for gain in gains
        if gain.nodes
    }


def _added(before: Mapping[K, float], more: Mapping[K, float]) -> dict[K, float]:
    return {key: before.get(key, 0.0) + more.get(key, 0.0) for key in before.keys() | more.keys()}


def _sum(before: float | None, more: float | None) -> float | None:
    return before if more is None else (before or 0.0) + more
