"""Slurm's trackable resources: the `id=count` strings and what they allocate."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

CPU, MEMORY, ENERGY, NODE, BILLING = 1, 2, 3, 4, 5
MEBIBYTE = 1024 * 1024
# NO_VAL64 and INFINITE64 mark "not tracked"; every count from 2^63 on is one of them or garbage.
SENTINEL = 1 << 63
# Python refuses to convert numbers of thousands of digits, with an error of its own.
_NONE: Mapping[int, str] = {}
_NUMBER = re.compile(r"\d{1,20}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Allocation:
    """What one run holds or asks for.

    memory_bytes is for the whole run, gpus maps Slurm's GPU type ("a100"; "" when untyped) to a count. billing is
    None where it is not tracked. licenses has those that are TRES, by their names.
    """

    cpus: int = 0
    memory_bytes: int = 0
    nodes: int = 0
    gpus: Mapping[str, int] = field(default_factory=dict)
    billing: int | None = None
    licenses: Mapping[str, int] = field(default_factory=dict)

    @property
    def gpu_count(self) -> int:
        """Count all GPUs, whatever their type."""
        return sum(self.gpus.values())


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
    memory = counts.get(MEMORY, 0) * MEBIBYTE
    licenses = {name: counts[tres_id] for tres_id, name in license_ids.items() if tres_id in counts}
    return Allocation(counts.get(CPU, 0), memory, counts.get(NODE, 0), typed, counts.get(BILLING), licenses)
