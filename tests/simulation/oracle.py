"""What the documented model says of a world: joules of every job and node, by docs/energy.md and nothing else.

It knows what jobs did at all times, where the service has samples. So a job that was seen all the time must agree with
it, and one that was not must not have more, nor a coverage that says more than was seen.
"""

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tests.simulation.exposition import board_times, meter_times, scrape_times, within, zero_times
from tests.simulation.steps import Steps
from tests.simulation.world import (
    AHEAD,
    BEGIN,
    HOUR,
    INTERVAL,
    NODE_CPUS,
    NODE_MEMORY,
    Interval,
    Job,
    Node,
    World,
)

WINDOW = 60.0
# A sample holds for two scrape intervals.
HOLD = 2 * INTERVAL
_REST_STEP = 600.0


@dataclass
class JobEnergy:
    """Joules of one job by model, in time that its nodes' power was measured; that time ÷ its time on nodes."""

    joules: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    measured_seconds: float = 0.0
    held_seconds: float = 0.0

    @property
    def measured(self) -> float:
        return self.measured_seconds / self.held_seconds if self.held_seconds else 0.0


@dataclass
class Energies:
    """What has been added up until a time: of each job by its number, and the joules of each node that was measured."""

    jobs: dict[int, JobEnergy]
    nodes: dict[str, float]


def energies(world: World, since: float, until: float, zero: float) -> Energies:
    """Add up all windows between two times, which are of the world; zero is epoch time."""
    found = Energies({job.number: JobEnergy() for job in world.jobs}, defaultdict(float))
    for node in world.nodes.values():
        known, rest = _known(node), _Rest(world, node, zero)
        end = since + WINDOW
        while end <= until:
            _add(found, world, node, (end - WINDOW, end), known.mean(end - WINDOW, end), rest.at(end))
            end += WINDOW
    return found


def _add(found: Energies, world: World, node: Node, window: Interval, known: float, rest: float | None) -> None:
    """Share one node's energy of one window between its jobs, for the part of it in which its power is known."""
    present = [(job, seconds) for job in world.on(node.name) if (seconds := job.seconds_in(*window)) > 0]
    for job, seconds in present:
        found.jobs[job.number].held_seconds += seconds
        found.jobs[job.number].measured_seconds += seconds * known
    if not known:
        return
    whole = world.node_watts(node.name).integral(*window)
    gpu = _gpu_shares(world, node, present, window)
    host = world.host_watts(node.name).integral(*window)
    if node.meter == "rapl" and not node.gpu_exporter:
        # Nobody shows boards that no job has open.
        whole = host + sum(gpu)
    found.nodes[node.name] += whole * known
    if not node.gpu_exporter:
        # Boards that nobody shows are part of the host, but for those that jobs show as their own.
        host = whole - sum(gpu)
    static = host if rest is None else min(host, rest * WINDOW)
    shares = {
        "two_part": _two_part(world, node, present, window, static, host),
        "allocation": _allocation(node, present, window, host),
    }
    for index, (job, _) in enumerate(present):
        for model, parts in shares.items():
            found.jobs[job.number].joules[model] += (parts[index] + gpu[index]) * known


def _known(node: Node) -> Steps:
    """Tell when a node's power is known, which is 1: for two scrape intervals after a reading, or until the next one.

    A reading of 0 cannot be.
    """
    if node.meter == "rapl":
        return Steps([(BEGIN, AHEAD, 1.0)])
    there, zeros = meter_times(node) if node.meter == "redfish" else [], zero_times(node)
    return Steps(
        (at, min(at + HOLD, following), 1.0) for at, following in pairwise(there) if at not in zeros
    )  # fmt: skip


class _Rest:
    """A host's power at rest: at each full hour, the 5 % quantile of a day of what it draws without its GPUs.

    It is made of readings, which are of different moments: that of the node may be from before a job's end, that of its
    GPUs from after it. Boards that no job has open are the host's where no exporter shows them all.
    """

    def __init__(self, world: World, node: Node, zero: float) -> None:
        self._zero = zero
        self._host: dict[float, float] = {}
        self._of_hour: dict[float, float | None] = {}
        if node.meter == "redfish":
            meter, zeros, boards = meter_times(node), zero_times(node), list(_board_readings(world, node))
            for at in _moments(zero):
                read = _newest(meter, at)
                if read is not None and read not in zeros:
                    shown = [(watts, _newest(times, at)) for times, watts in boards]
                    gpus = sum(watts.at(seen) for watts, seen in shown if seen is not None)
                    self._host[at] = world.node_watts(node.name).at(read) - gpus

    def at(self, time: float) -> float | None:
        """Give the power at rest by which a window that ends then is shared."""
        hour = (time + self._zero) // HOUR * HOUR - self._zero
        if hour not in self._of_hour:
            seen = sorted(watts for at, watts in self._host.items() if at <= hour and watts > 0)
            self._of_hour[hour] = _quantile(seen, 0.05) if seen else None
        return self._of_hour[hour]


def _board_readings(world: World, node: Node) -> Iterator[tuple[Sequence[float], Steps]]:
    """List the series of GPUs' power that are not the host's: when each was read, and the board's watts.

    Without an exporter of all of a node's GPUs those of jobs, each job's of a board; MIG slices have none.
    """
    if node.gpu_exporter:
        for index in range(node.gpus):
            yield scrape_times(node, "gpu"), world.board_watts(node.name, index)
        return
    for job in world.on(node.name):
        for name, index in job.gpu:
            if name == node.name and job.mig is None:
                yield board_times(node, job, index), world.board_watts(name, index)


def _newest(times: Sequence[float], at: float) -> float | None:
    """Give the time of the newest reading that still holds at a moment."""
    before = bisect_right(times, at)
    return times[before - 1] if before and at - times[before - 1] < HOLD else None


def _moments(zero: float) -> list[float]:
    """List the times that are looked at for the power at rest: every ten minutes of the clock."""
    first = math.ceil((BEGIN + zero) / _REST_STEP) * _REST_STEP - zero
    return [first + number * _REST_STEP for number in range(int((AHEAD - first) / _REST_STEP))]


def _quantile(ordered: Sequence[float], part: float) -> float:
    rank = part * (len(ordered) - 1)
    below = int(rank)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (rank - below)


def _gpu_shares(
    world: World, node: Node, present: Sequence[tuple[Job, float]], window: Interval
) -> list[float]:  # fmt: skip
    """Give the joules of each job's own GPUs: what it has open is its own, and shared with others who have it open.

    Boards that it holds and has not open share evenly with those that nobody holds.
    """
    boards = {index: world.board_watts(node.name, index).integral(*window) for index in range(node.gpus)}
    own, unseen = [0.0] * len(present), [0.0] * len(present)
    taken = 0.0
    for number, (job, seconds) in enumerate(present):
        for name, index in job.gpu:
            if name == node.name:
                watts = _own_watts(world, node, job, index, window)
                own[number] += watts
                taken += watts
                unseen[number] += (seconds - _open_seconds(job, index, node.name, window)) * job.slice
    if node.gpu_exporter and any(unseen):
        held = sum(job.slice * seconds for job, seconds in present for name, _ in job.gpu if name == node.name)
        each = (sum(boards.values()) - taken) / max(sum(unseen), node.gpus * WINDOW - held + sum(unseen))
        own = [mine + each * amount for mine, amount in zip(own, unseen, strict=True)]
    return own


def _own_watts(world: World, node: Node, job: Job, index: int, window: Interval) -> float:
    """Give the joules of a board while the job has it open; MIG slices show the board's, and are estimated instead."""
    if job.mig is not None:
        return 0.0
    sharing = [each for each in world.on(node.name) if each.gpu.get((node.name, index))]
    watts = world.board_watts(node.name, index)
    joules = 0.0
    for begin, end, _ in job.gpu[node.name, index]:
        first, last = max(begin, window[0]), min(end, window[1])
        if first < last:
            others = 1 if not job.tres.startswith("1003") else len(sharing)
            joules += watts.integral(first, last) / others
    return joules


def _open_seconds(job: Job, index: int, node: str, window: Interval) -> float:
    if job.mig is not None or not job.slice:
        return 0.0
    return sum(max(0.0, min(end, window[1]) - max(begin, window[0])) for begin, end, _ in job.gpu[node, index])


def _two_part(
    world: World, node: Node, present: Sequence[tuple[Job, float]], window: Interval, static: float, host: float
) -> list[float]:  # fmt: skip
    reserved = [
        max(_cpus(job, window) / NODE_CPUS, job.memory / NODE_MEMORY) * seconds / WINDOW for job, seconds in present
    ]
    busy = [job.busy(node.name).integral(*window) for job, _ in present]
    whole = max(world.busy_cpus(node.name).integral(*window), sum(busy))
    scale = static / max(1.0, sum(reserved))
    return [part * scale + (host - static) * used / whole for part, used in zip(reserved, busy, strict=True)]


def _cpus(job: Job, window: Interval) -> float:
    """Give the CPUs that it keeps from others: none while it is suspended, which slurmacct says until it goes on."""
    is_suspended = job.state == 2 and within(window[0], job.suspended)
    return 0.0 if is_suspended else job.cpus


def _allocation(
    node: Node, present: Sequence[tuple[Job, float]], window: Interval, host: float
) -> list[float]:  # fmt: skip
    """Share by GPUs where there are any and their number is known, else by CPUs."""
    parts = []
    for job, seconds in present:
        held = sum(job.slice for name, _ in job.gpu if name == node.name)
        part = held / node.gpus if held and node.gpu_exporter else _cpus(job, window) / NODE_CPUS
        parts.append(part * seconds / WINDOW)
    return [host * part / max(1.0, sum(parts)) for part in parts]


def idle_cpu_seconds(world: World, job: Job, since: float, until: float) -> float:
    """Add up, window by window, the CPU time that a job held and did not use."""
    idle, end = 0.0, since + WINDOW
    while end <= until:
        window = end - WINDOW, end
        held = _cpus(job, window) * job.seconds_in(*window) * len(job.nodes)
        idle += max(0.0, held - sum(job.busy(node).integral(*window) for node in job.nodes))
        end += WINDOW
    return idle


def unseen_seconds(world: World, job: Job, until: float) -> Iterator[float]:
    """List, of each node of the job, how long its exporter was down while the job ran."""
    for name in job.nodes:
        down = world.nodes[name].exporter_down
        yield sum(max(0.0, min(end, job.end, until) - max(begin, job.start, BEGIN)) for begin, end in down)


def has_all_inputs(world: World, job: Job) -> bool:
    """Tell whether an exporter shows each board that it holds, its own or one of the node's."""
    boards = [parts for (name, _), parts in job.gpu.items() if not world.nodes[name].gpu_exporter]
    return all(boards) and (job.mig is None or not boards)
