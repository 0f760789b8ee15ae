"""Which node has room: best fit over pools of identical nodes, never more than a node has."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from aggregator.synthetic.profiles import WORKSHOP, Shape

# A cluster with fewer CPU nodes has none to spare for a reservation, or to lose.
ENOUGH_NODES: Final = 12


@dataclass(slots=True, eq=False)
class Node:
    """One node and what of it is free now; one that is out of service takes no new run."""

    name: str
    free_cpus: int
    free_memory_gib: int
    free_gpus: int = 0
    in_service: bool = True


class NodePool:
    """Nodes of one kind, kept by their free CPUs so that a fit is found without looking at all of them."""

    def __init__(
        self,
        names: list[str],
        cpus: int,
        memory_gib: int,
        gpus: int = 0,
        gpu_type: str = "",
        reservation: str = "",
    ) -> None:
        self.gpu_type, self.reservation = gpu_type, reservation
        self.cpus, self.memory_gib, self.gpus = cpus, memory_gib, gpus
        self.nodes = tuple(Node(name, cpus, memory_gib, gpus) for name in names)
        # Dicts, not sets: the order of iteration must be the same in every process.
        self._by_free: list[dict[Node, None]] = [{} for _ in range(cpus + 1)]
        # No node with so many free CPUs has more free memory: thousands that have too little are not looked at.
        self._most_memory = [0] * (cpus + 1)
        for node in self.nodes:
            self._put(node)

    def take(self, shape: Shape) -> tuple[Node, ...] | None:
        """Allocate the shape on the fullest nodes that fit; None when there are too few."""
        found = tuple(islice(self._fitting(shape), shape.nodes))
        if len(found) < shape.nodes:
            return None
        self._change(found, shape, -1)
        return found

    def has_room(self, shape: Shape) -> bool:
        """Tell whether any node has room for the shape's part of one."""
        return any(True for _ in self._fitting(shape))

    def _fitting(self, shape: Shape) -> Iterator[Node]:
        """List the nodes with room for the shape's part of one, the fullest first."""
        for free in range(shape.cpus, self.cpus + 1):
            if self._most_memory[free] < shape.memory_gib:
                continue
            nodes, fits = self._by_free[free], False
            for node in nodes:
                if node.free_memory_gib >= shape.memory_gib and node.free_gpus >= shape.gpus:
                    fits = True
                    yield node
            if not fits:
                self._most_memory[free] = max((node.free_memory_gib for node in nodes), default=0)

    def release(self, nodes: tuple[Node, ...], shape: Shape) -> None:
        """Give back what `take` has allocated."""
        self._change(nodes, shape, 1)

    def withdraw(self, node: Node) -> None:
        """Let no new run begin on a node; those that are there stay."""
        if node.in_service:
            node.in_service = False
            del self._by_free[node.free_cpus][node]

    def restore(self, node: Node) -> None:
        """Let runs begin on a node again."""
        if not node.in_service:
            node.in_service = True
            self._put(node)

    def _put(self, node: Node) -> None:
        self._by_free[node.free_cpus][node] = None
        self._most_memory[node.free_cpus] = max(self._most_memory[node.free_cpus], node.free_memory_gib)

    def _change(self, nodes: tuple[Node, ...], shape: Shape, sign: int) -> None:
        for node in nodes:
            if node.in_service:
                del self._by_free[node.free_cpus][node]
            node.free_cpus += sign * shape.cpus
            node.free_memory_gib += sign * shape.memory_gib
            node.free_gpus += sign * shape.gpus
            if node.in_service:
                self._put(node)


def make_pools(nodes: int, gpu_nodes: int) -> dict[str, NodePool]:
    """Make the pools by GPU type ("" for CPU nodes), half and half A100 and H100, and the one that is reserved."""
    cpu_names = [f"nc{number:04d}" for number in range(1, nodes - gpu_nodes + 1)]
    gpu_names = [f"ng{number:04d}" for number in range(1, gpu_nodes + 1)]
    half = (gpu_nodes + 1) // 2
    reserved = 1 if len(cpu_names) >= ENOUGH_NODES else 0
    pools = {"": NodePool(cpu_names[: len(cpu_names) - reserved], cpus=64, memory_gib=256)}
    if reserved:
        pools[WORKSHOP] = NodePool(cpu_names[-reserved:], cpus=64, memory_gib=256, reservation=WORKSHOP)
    for gpu_type, names in (("a100", gpu_names[:half]), ("h100", gpu_names[half:])):
        if names:
            pools[gpu_type] = NodePool(names, cpus=48, memory_gib=512, gpus=4, gpu_type=gpu_type)
    return pools
