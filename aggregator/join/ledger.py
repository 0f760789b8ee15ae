"""What does one more window add to the totals of each run, user and node?"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from aggregator.join.attribution import Attribution, Shares, Tenant, attribute
from aggregator.join.efficiency import COVERAGE_FLOOR
from aggregator.join.price import co2_grams, energy_cost, hardware_cost
from aggregator.join.use import gpu_use
from aggregator.model.accounting import JobState, Run
from aggregator.model.energy import (
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
# A second in which GPUs were not observed takes back so many of an idle stretch: one of a given length is then observed
# for COVERAGE_FLOOR of its time at least.
UNSEEN_WEIGHT = COVERAGE_FLOOR / (1 - COVERAGE_FLOOR)
# Longer than any retention of ended jobs on the page needs to be.
KEEP_ENDED_SECONDS = 3600.0
_NO_NODE = NodePower()


@dataclass(slots=True)
class _Gain:
    """What one run gains in one window; nodes counts those whose power is known."""

    run: Run
    seconds: float
    nodes: int = 0
    host: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    gpu: float = 0.0
    has_gpu_power: bool = False

    @property
    def coverage(self) -> float:
        """Give the share of the run's nodes whose power is known."""
        return self.nodes / max(len(self.run.nodes), 1)

    @property
    def is_measured(self) -> bool:
        """Tell whether any of its power is known: nothing measured is not 0 joules."""
        return self.nodes > 0 or self.has_gpu_power


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
        self.power = Power(window.end, _job_power(gains, window.seconds), nodes)
        self._window_end = window.end

    def ledger(self) -> Ledger:
        """Give the totals so far; runs that ended long ago are left out, nobody asks a snapshot for them."""
        oldest = self._window_end - KEEP_ENDED_SECONDS
        runs = {run_id: totals for run_id, totals in self._runs.items() if totals.until >= oldest}
        return Ledger(self._window_end, runs, dict(self._users), dict(self._nodes))

    def _share(self, window: PowerWindow, gains: Sequence[_Gain]) -> dict[str, Mapping[str, float]]:
        """Share each node's energy between its tenants; give its watts by component."""
        tenants: dict[str, list[_Gain]] = defaultdict(list)
        for gain in gains:
            for name in gain.run.nodes:
                tenants[name].append(gain)
        watts: dict[str, Mapping[str, float]] = {}
        # In one order, so that all replicas round alike.
        for name in sorted(window.nodes.keys() | tenants.keys()):
            node = window.nodes.get(name, _NO_NODE)
            present = tenants.get(name, [])
            shared = attribute(node, [_tenant(gain, name, window) for gain in present], window.seconds)
            _credit(present, shared, node.watts is not None)
            if node.watts is not None:
                joules = _by_component(shared, self._prices.model)
                self._add_node(name, joules, window)
                watts[name] = {component: amount / window.seconds for component, amount in joules.items()}
        return watts

    def _add_node(self, name: str, joules: Mapping[str, float], window: PowerWindow) -> None:
        before = self._nodes.get(name, NodeTotals(window.end))
        total = {component: before.joules.get(component, 0.0) + amount for component, amount in joules.items()}
        self._nodes[name] = NodeTotals(window.end, total, before.power_seconds + window.seconds)

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


def _tenant(gain: _Gain, node: str, window: PowerWindow) -> Tenant:
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
        gpu_watts=_of(window.job_gpu_watts, run.job_id, node, None),
    )


def _of(values: Mapping[int, Mapping[str, float]] | None, job_id: int, node: str, absent: float | None) -> float | None:
    if values is None:
        return None
    return values.get(job_id, {}).get(node, absent)


def _credit(gains: Sequence[_Gain], shared: Attribution, measured: bool) -> None:
    """Write one node's joules to the gains of its tenants."""
    for index, gain in enumerate(gains):
        gain.nodes += measured
        gain.gpu += shared.gpu.tenants[index]
        gain.has_gpu_power = gain.has_gpu_power or shared.gpu.tenants[index] > 0
        for model, shares in shared.host.items():
            gain.host[model] += shares.tenants[index]


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
    if not run.allocated.gpu_count or seconds < window.seconds or run.state is JobState.SUSPENDED:
        return totals
    gpu = gpu_use(run, window.use)
    if gpu is None or gpu.used is None or gpu.busy is None:
        return _idle(totals, -UNSEEN_WEIGHT * seconds, -UNSEEN_WEIGHT * seconds)
    totals = replace(
        totals,
        gpu_seconds=totals.gpu_seconds + gpu.judged * seconds,
        gpu_used_seconds=totals.gpu_used_seconds + gpu.used * seconds,
    )
    more = seconds if gpu.coverage >= COVERAGE_FLOOR else -UNSEEN_WEIGHT * seconds
    is_all_busy = gpu.busy >= run.allocated.gpu_count
    return _idle(totals, float("-inf") if gpu.busy else more, float("-inf") if is_all_busy else more)


def _idle(totals: RunLedger, all_idle: float, some_idle: float) -> RunLedger:
    """Lengthen or shorten the idle stretches; they end at 0."""
    return replace(
        totals,
        gpu_idle_seconds=max(0.0, totals.gpu_idle_seconds + all_idle),
        gpu_partly_idle_seconds=max(0.0, totals.gpu_partly_idle_seconds + some_idle),
    )


def _job_power(gains: Iterable[_Gain], seconds: float) -> dict[int, JobPower]:
    """Give each run's mean power over the whole window, so that runs add up to their nodes.

    A node that was not measured would make the host's part too small: all of the run's nodes or nothing.
    """
    powers = {}
    for gain in gains:
        complete = gain.nodes == len(gain.run.nodes) > 0
        host = {model: joules / seconds for model, joules in gain.host.items()} if complete else None
        gpu = gain.gpu / seconds if gain.has_gpu_power else None
        if host is not None or gpu is not None:
            powers[gain.run.run_id] = JobPower(host, gpu)
    return powers


def _added(before: Mapping[K, float], more: Mapping[K, float]) -> dict[K, float]:
    return {key: before.get(key, 0.0) + more.get(key, 0.0) for key in before.keys() | more.keys()}


def _sum(before: float | None, more: float | None) -> float | None:
    return before if more is None else (before or 0.0) + more
