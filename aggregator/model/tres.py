"""Slurm's trackable resources: the `id=count` strings and what they allocate."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

CPU, MEMORY, ENERGY, NODE, BILLING = 1, 2, 3, 4, 5
# How the names of licenses that are TRES begin.
LICENSE = "license/"
MEBIBYTE = 1024 * 1024
# NO_VAL64 and INFINITE64 mark "not tracked"; every count from 2^63 on is one of them or garbage.
SENTINEL = 1 << 63
# Slices of a board with MIG, as Slurm's GPU types name them: 3g.20gb, a100_3g.20gb, nvidia_h100_1g.10gb+me.
_PROFILE = re.compile(r"(?:^|[^0-9a-z])([1-7])g\.(\d+)gb", re.ASCII | re.IGNORECASE)
_SLICES = 7
# Boards with four slices: A30, RTX PRO 6000.
_FOURTHS = {"1g.6gb": 1, "2g.12gb": 2, "4g.24gb": 4, "2g.48gb": 2, "4g.96gb": 4}
_NONE: Mapping[int, str] = {}
# Python refuses to convert numbers of thousands of digits, with an error of its own.
_NUMBER = re.compile(r"\d{1,20}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Allocation:
    """What one run holds or asks for.

    memory_bytes is for the whole run, None where Slurm does not manage memory. gpus maps Slurm's GPU type ("a100"; ""
    when untyped) to a count. billing is None where it is not tracked. licenses has those that are TRES, by their names.
    """

    cpus: int = 0
    memory_bytes: int | None = 0
    nodes: int = 0
    gpus: Mapping[str, int] = field(default_factory=dict)
    billing: int | None = None
    licenses: Mapping[str, int] = field(default_factory=dict)

    @property
    def gpu_count(self) -> int:
        """Count all GPUs, whatever their type; a MIG slice is one, as it is to Slurm."""
        return sum(self.gpus.values())

    @property
    def gpu_equivalents(self) -> float:
        """Count whole boards: a MIG slice is its part of one."""
        return sum(count * board_part(gpu_type) for gpu_type, count in self.gpus.items())


NOTHING = Allocation()


def parse_tres(text: str) -> dict[int, int]:
    """Parse `1=4,2=8000,1001=2`; malformed and sentinel entries are dropped, never raised."""
    counts: dict[int, int] = {}
    for entry in text.split(","):
        key, separator, count = entry.partition("=")
        if separator and _NUMBER.fullmatch(key) and _NUMBER.fullmatch(count) and int(count) < SENTINEL:
            counts[int(key)] = int(count)
    return counts


def gpu_types(catalog: Mapping[int, tuple[str, str]]) -> dict[int, str | None]:
    """Tell which ids of the cluster's catalog (id → type, name) are GPUs: None is the generic `gres/gpu`."""
    return {
        tres_id: name.partition(":")[2] or None
        for tres_id, (kind, name) in catalog.items()
        if kind == "gres" and (name == "gpu" or name.startswith("gpu:"))
    }


def license_names(catalog: Mapping[int, tuple[str, str]]) -> dict[int, str]:
    """Tell which ids of the cluster's catalog (id → type, name) are licenses."""
    return {tres_id: name for tres_id, (kind, name) in catalog.items() if kind == "license"}


def allocation(
    counts: Mapping[int, int], gpu_ids: Mapping[int, str | None], license_ids: Mapping[int, str] = _NONE
) -> Allocation:
    """Read an allocation from parsed counts of a `tres_alloc` or `tres_req` column (memory in MiB there).

    The generic gres/gpu already includes the typed ones: only what the types leave over is untyped.
    """
    typed: dict[str, int] = {}
    generic = 0
    for tres_id, gpu_type in gpu_ids.items():
        count = counts.get(tres_id, 0)
        if gpu_type is None:
            generic += count
        elif count:
            typed[gpu_type] = typed.get(gpu_type, 0) + count
    untyped = generic - sum(typed.values())
    if untyped > 0:
        typed[""] = untyped
    licenses = {name: counts[tres_id] for tres_id, name in license_ids.items() if tres_id in counts}
    return Allocation(counts.get(CPU, 0), _memory(counts), counts.get(NODE, 0), typed, counts.get(BILLING), licenses)


def _memory(counts: Mapping[int, int]) -> int | None:
    """Read the bytes of memory; None where Slurm does not manage it, though jobs take it.

    Without memory in SelectTypeParameters, slurmctld writes none, or a nominal MiB for each node or CPU.
    """
    memory = counts.get(MEMORY, 0)
    if counts and memory <= max(counts.get(CPU, 0), counts.get(NODE, 0), 1):
        return None
    return memory * MEBIBYTE


def board_part(gpu_type: str) -> float:
    """Give the part of a board that one GPU of Slurm's type is: 1, and 3/7 for `a100_3g.20gb`."""
    profile = _PROFILE.search(gpu_type)
    if profile is None:
        return 1.0
    name = f"{profile[1]}g.{profile[2]}gb"
    return _FOURTHS[name] / 4 if name in _FOURTHS else int(profile[1]) / _SLICES


def gpu_units(gpu_type: str, units: Mapping[str, float]) -> float | None:
    """Give the units of one GPU of Slurm's type: its own, else of a slice its part of its board's, else "default"'s.

    None is not known.
    """
    if gpu_type in units:
        return units[gpu_type]
    profile = _PROFILE.search(gpu_type)
    board_type = gpu_type[: profile.start()].removesuffix("-mig") if profile else gpu_type
    board = units.get(board_type, units.get("default"))
    return None if board is None else board * board_part(gpu_type)
