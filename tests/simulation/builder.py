"""Add nodes and jobs to a world, with room for each."""

import random
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any

from tests.simulation.steps import FOREVER, Part, Steps
from tests.simulation.world import (
    GIB,
    MINUTE,
    NODE_CPUS,
    NODE_MEMORY,
    QUIET_UNTIL,
    Finding,
    Job,
    Node,
    World,
)

USERS = (("ann", "phys"), ("ben", "phys"), ("cora", "chem"), ("dan", "bio"), ("eve", "bio"), ("fay", "geo"))
SEED = 20_240_229
# When jobs show that exporters can show GPUs, before the others begin.
EARLY = (QUIET_UNTIL + MINUTE, QUIET_UNTIL + 4 * MINUTE)
Use = float | Sequence[Part] | None


class Builder:
    """Fill a world; *random* is the only source of chance."""

    def __init__(self) -> None:
        self.world = World()
        self.random = random.Random(SEED)
        self._numbers = count(1)
        # Plain nodes, by what they are, with the CPUs and the memory that are still free, and the boards.
        self._sighted: set[str] = set()
        self._free: dict[str, list[tuple[str, int, float, int]]] = {}

    def node(self, **settings: Any) -> str:
        """Add a node and give its name."""
        name = f"n{len(self.world.nodes) + 1:03}"
        self.world.nodes[name] = Node(name, **settings)
        return name

    def cpu(
        self, kind: str, start: float, cpus: int, busy: float | Steps, *, end: float = FOREVER, nodes: int = 1,
        idle: int = 0, on: Sequence[str] = (), memory: float = 4 * GIB, peak: float = 3 * GIB,
        expected: Iterable[Finding] = (), **more: Any,
    ) -> int:  # fmt: skip
        """Add a job without GPUs: *cpus* and *memory* on each of its nodes, *idle* of which do nothing."""
        names = tuple(on) or tuple(self._room({}, cpus, memory, 0)[0] for _ in range(nodes))
        steps = busy if isinstance(busy, Steps) else Steps([(start, end, busy)])
        return self._add(
            kind=kind, nodes=names, start=start, end=end, cpus=cpus, memory=memory, peak=peak, cpu=steps,
            idle_nodes=frozenset(names[len(names) - idle :] if idle else ()), expected=frozenset(expected), **more,
        )  # fmt: skip

    def gpu(
        self, kind: str, start: float, uses: Sequence[Use], *, end: float = FOREVER, nodes: int = 1, idle: int = 0,
        on: Sequence[str] = (), boards: Sequence[int] = (), busy: float | None = None, memory: float = 8 * GIB,
        alone: bool = False, sighted: bool = True, expected: Iterable[Finding] = (), possible: Iterable[str] = (),
        suspended: Sequence[tuple[float, float]] = (), state: int | None = None, **settings: Any,
    ) -> int:  # fmt: skip
        """Add a job with one whole board per entry of *uses* on each node: a utilisation, its parts, None for never."""
        settings.setdefault("gpu_exporter", "dcgm")
        cpus = len(uses)
        places = [(name, boards[0] if boards else 0) for name in on] or [
            self._room(settings, cpus, memory, len(uses), alone or nodes > 1) for _ in range(nodes)
        ]
        if sighted and not on:
            self._show_gpus(name for name, _ in places)
        gpu = {}
        for number, (name, first) in enumerate(places):
            for offset, use in enumerate(uses):
                rests = number >= nodes - idle
                gpu[name, first + offset] = () if rests else _parts(use, start, end)
        names = tuple(name for name, _ in places)
        work = Steps([(start, end, 0.95 * cpus if busy is None else busy)])
        for begin, until in suspended:
            work = Steps([*work.cut(start, begin).parts(), *work.cut(until, end).parts()])
        return self._add(
            kind=kind, nodes=names, start=start, end=end, cpus=cpus, memory=memory, peak=memory / 2, cpu=work, gpu=gpu,
            tres=f"1001={len(gpu)},1002={len(gpu)}", suspended=suspended, state=state, expected=frozenset(expected),
            possible=frozenset(possible), idle_nodes=frozenset(names[nodes - idle :] if idle else ()),
        )  # fmt: skip

    def shared(
        self, kind: str, start: float, node: str, use: float | None, *, tres: str, slice: float,
        mig: float | None = None,
        expected: Iterable[Finding] = (),
    ) -> int:  # fmt: skip
        """Add a job that shares the node's only board: *use* is what the board is used by it."""
        return self._add(
            kind=kind, nodes=(node,), start=start, cpus=1, cpu=Steps([(start, FOREVER, 0.95)]),
            gpu={(node, 0): _parts(use, start, FOREVER)}, tres=tres, slice=slice, mig=mig, expected=frozenset(expected),
        )  # fmt: skip

    def _show_gpus(self, nodes: Iterable[str]) -> None:
        """Let an earlier job use a GPU of each node: of one whose exporter has never shown any nobody is accused."""
        for name in set(nodes) - self._sighted:
            self._sighted.add(name)
            start, end = EARLY
            self._add(
                kind="GPU job before the others", nodes=(name,), start=start, end=end, cpu=Steps([(start, end, 0.9)]),
                gpu={(name, 3): ((start, end, 0.9),)}, tres="1001=1,1002=1",
            )  # fmt: skip

    def _add(self, *, job_id: int | None = None, **facts: Any) -> int:
        number = next(self._numbers)
        user, account = USERS[number % len(USERS)]
        same = [job for job in self.world.jobs if job.job_id == job_id]
        if same:
            user, account = same[0].user, same[0].account
        job = Job(number=number, job_id=job_id or 100_000 + number, user=user, account=account, **facts)
        self.world.jobs.append(job)
        return job.job_id

    def _room(
        self, settings: dict[str, Any], cpus: int, memory: float, gpus: int, alone: bool = False
    ) -> tuple[str, int]:
        """Find a node with so much free, another one for each call of a job; give it and its first free board."""
        free = [] if alone else self._free.setdefault(repr((settings, bool(gpus))), [])
        for index, (name, cpus_left, memory_left, boards_left) in enumerate(free):
            if cpus_left >= cpus and memory_left >= memory and boards_left >= gpus:
                free.append((name, cpus_left - cpus, memory_left - memory, boards_left - gpus))
                del free[index]
                return name, 4 - boards_left
        boards = 4 if gpus else 0
        name = self.node(gpus=boards, **settings)
        free.append((name, NODE_CPUS - cpus, NODE_MEMORY - memory, boards - gpus))
        return name, 0


def _parts(use: Use, start: float, end: float) -> Sequence[Part]:
    if use is None:
        return ()
    return ((start, end, use),) if isinstance(use, float) else tuple(use)
