"""The GPUs of a node as Slurm gives them out, boards and slices: who has each one, and what is done with it.

Every exporter of GPUs shows its part of this, so that the same jobs are seen through each of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

from tests.lab.behaviours import GPU_MEMORY_BYTES, Behaviour
from tests.lab.exporters.activity import Activity

# What parts of a GPU do, as parts of its utilisation.
ACTIVE = {"sm": 0.8, "occupancy": 0.6, "tensor": 0.3, "dram": 0.5, "fp64": 0.0, "fp32": 0.2, "fp16": 0.1}


@dataclass(frozen=True)
class Slice:
    """A MIG slice: the id of its GPU instance, its profile, and its part of the board."""

    instance: int
    profile: str
    part: float


@dataclass(frozen=True)
class Device:
    """What Slurm gives as one GPU: a board, or a slice of one."""

    board: int
    slice: Slice | None = None


@dataclass(frozen=True)
class Unit:
    """A device at one moment; *joules* are since the exporter began."""

    node: str
    device: Device
    jobs: tuple[Activity, ...]
    """In the order in which they started."""
    utilization: float
    """In percent of the device."""
    memory: int
    """Bytes used on the device."""
    watts: float
    """Of the whole board, as every exporter shows it for a slice."""
    joules: float
    """Of the whole board."""

    @property
    def board(self) -> int:
        return self.device.board

    @property
    def instance(self) -> str:
        """The label GPU_I_ID: empty for a board."""
        return str(self.device.slice.instance) if self.device.slice else ""

    @property
    def board_uuid(self) -> str:
        return f"GPU-{_uuid(self.node, self.board)}"

    @property
    def uuid(self) -> str:
        """NVML's UUID of the device itself."""
        return f"MIG-{_uuid(self.node, self.board, self.instance)}" if self.device.slice else self.board_uuid

    @property
    def serial(self) -> str:
        """The board's serial number, by which AMD's exporters know it."""
        return f"{crc32(self.board_uuid.encode()):012d}"

    @property
    def memory_total(self) -> int:
        return int(GPU_MEMORY_BYTES * self.part)

    @property
    def part(self) -> float:
        """Its part of the board."""
        return self.device.slice.part if self.device.slice else 1.0

    def active(self, what: str) -> float:
        """Give how active a part of the device is, 0 to 1."""
        return ACTIVE[what] * self.utilization / 100


class Meter:
    """Adds up rates from reading to reading, so that no counter falls when a job ends; 0 when first read."""

    def __init__(self) -> None:
        self._read: dict[tuple[str, str], tuple[float, float]] = {}

    def __call__(self, node: str, what: str, rate: float, at: float) -> float:
        before, total = self._read.get((node, what), (at, 0.0))
        self._read[node, what] = (at, total + rate * (at - before))
        return self._read[node, what][1]


def boards(count: int) -> tuple[Device, ...]:
    """Give the devices of a node without slices."""
    return tuple(Device(index) for index in range(count))


def units(node: str, devices: Sequence[Device], jobs: Iterable[Activity], meter: Meter, at: float) -> list[Unit]:
    """Tell what is done with each device of a node at a time."""
    held = _held(len(devices), sorted(jobs, key=lambda job: (-job.elapsed, job.key)))
    used = [min(100.0, sum(utilization for _, utilization in held[index])) for index in range(len(devices))]
    watts = {device.board: Behaviour.gpu_power_watts(_mean(devices, used, device.board)) for device in devices}
    joules = {board: meter(node, f"board {board}", drawn, at) for board, drawn in watts.items()}
    return [
        Unit(
            node, device, tuple(job for job, _ in held[index]), used[index],
            sum(job.behaviour.gpu_memory for job, _ in held[index] if job.utilizations),
            watts[device.board], joules[device.board],
        )
        for index, device in enumerate(devices)
    ]  # fmt: skip


def _held(count: int, jobs: Sequence[Activity]) -> Mapping[int, list[tuple[Activity, float]]]:
    """Give the jobs of each device with their utilisation: as Slurm says, else the first free devices."""
    held: dict[int, list[tuple[Activity, float]]] = {index: [] for index in range(count)}
    for job in jobs:
        free = [index for index in range(count) if not held[index]]
        utilizations = [*job.utilizations, *[0.0] * job.share.gpus]
        for index, utilization in zip(job.share.gpu_indices or free[: job.share.gpus], utilizations, strict=False):
            held[index].append((job, utilization))
    return held


def _mean(devices: Sequence[Device], used: Sequence[float], board: int) -> float:
    """Give a board's utilisation of those of its slices."""
    parts = [(device.slice.part if device.slice else 1.0) for device in devices]
    return sum(part * each for device, part, each in zip(devices, parts, used, strict=True) if device.board == board)


def _uuid(*parts: object) -> str:
    digits = f"{crc32(repr(parts).encode()):08x}"
    return f"{digits}-{digits[:4]}-{digits[4:]}-{digits[:4]}-{digits}{digits[:4]}"
