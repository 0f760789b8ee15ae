"""How much of each node does each run hold?

slurmacct says what a run holds altogether and on which nodes. A run of one node holds it all there. One of several is
spread evenly over them, as far as the others leave room: no node is given more than it has.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import Final

from aggregator.model.accounting import Run
from aggregator.model.node import Held

# CPUs, bytes of memory and GPUs of a node; None where that is not known.
Size = tuple[float | None, float | None, float | None]
_UNKNOWN: Final[Size] = (None, None, None)
Parts = Mapping[str, Mapping[int, Held]]


def spread(runs: Iterable[Run], sizes: Mapping[str, Size]) -> Parts:
    """Give what each run holds of each of its nodes: node → run id → part.

    The parts of a run add up to it, unless its nodes are too small for all that is on them.
    """
    parts: defaultdict[str, dict[int, Held]] = defaultdict(dict)
    room: dict[str, list[float]] = {}
    placed = [(run, tuple(dict.fromkeys(run.nodes))) for run in runs if run.holds_resources and run.nodes]
    # What is certain first, then what leaves the fewest choices.
    for run, nodes in sorted(placed, key=lambda each: (len(each[1]) > 1, -each[0].held.cpus / len(each[1]))):
        for node in nodes:
            if node not in room:
                room[node] = [inf if size is None else size for size in sizes.get(node, _UNKNOWN)]
        for node, part in zip(nodes, _parts(run, [room[node] for node in nodes]), strict=True):
            parts[node][run.run_id] = part
    return parts


def part_of(run: Run, size: Size) -> Held:
    """Give what a run that has ended held of one of its nodes: an even part, and no more than the node has."""
    held, nodes = run.allocated, max(1, len(set(run.nodes)))
    cpus, memory, gpus = (inf if nodes == 1 or most is None else most for most in size)
    share = min(held.gpu_count / nodes, gpus) / held.gpu_count if held.gpu_count else 0.0
    return Held(
        cpus=min(held.cpus / nodes, cpus),
        memory_bytes=None if held.memory_bytes is None else min(held.memory_bytes / nodes, memory),
        gpus={gpu_type: count * share for gpu_type, count in held.gpus.items()},
        estimated=nodes > 1,
    )


def _parts(run: Run, rooms: Sequence[list[float]]) -> list[Held]:
    """Divide what one run holds, and take it from the rooms of its nodes."""
    held = run.held
    if len(rooms) == 1:
        _take(rooms[0], held.cpus, held.memory_bytes or 0.0, held.gpu_count)
        return [Held(cpus=held.cpus, memory_bytes=held.memory_bytes, gpus=held.gpus)]
    cpus = _fill(held.cpus, [room[0] for room in rooms])
    memory = _fill(held.memory_bytes or 0.0, [room[1] for room in rooms])
    gpus = _fill(held.gpu_count, [room[2] for room in rooms])
    found = []
    for place, room in enumerate(rooms):
        _take(room, cpus[place], memory[place], gpus[place])
        share = gpus[place] / held.gpu_count if held.gpu_count else 0.0
        by_type = {gpu_type: count * share for gpu_type, count in held.gpus.items()}
        known = None if held.memory_bytes is None else memory[place]
        found.append(Held(cpus=cpus[place], memory_bytes=known, gpus=by_type, estimated=True))
    return found


def _take(room: list[float], *amounts: float) -> None:
    for place, amount in enumerate(amounts):
        room[place] = max(0.0, room[place] - amount)


def _fill(total: float, rooms: Sequence[float]) -> list[float]:
    """Divide an amount evenly over rooms, what is too much for one over the others."""
    shares, left = [0.0] * len(rooms), total
    empty = list(range(len(rooms)))
    while empty and left > 0:
        each = left / len(empty)
        full = [place for place in empty if rooms[place] < each]
        for place in full or empty:
            shares[place] = min(rooms[place], each)
            left -= shares[place]
        if not full:
            break
        empty = [place for place in empty if place not in full]
    return shares
