"""Whose is the energy that a node took in one window?

The node's own GPUs apart, each model shares the host's energy between the runs on the node (tenants), `idle` and
`unattributed`; the three always add up to what was measured, and none is negative.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aggregator.model.energy import NodePower

# The part of a node's energy that its jobs share evenly in the model `usage` (CEEMS's choice).
EVEN_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Tenant:
    """One run on one node in one window: what it held for how many seconds, and what it used (means, None unknown).

    gpu_watts is the power of those of its GPUs that have series, unseen_gpus counts the others.
    """

    seconds: float
    cpus: float
    memory_bytes: float = 0.0
    gpus: float = 0.0
    busy_cpus: float | None = None
    used_memory_bytes: float | None = None
    gpu_watts: float | None = None
    unseen_gpus: float = 0.0


@dataclass(frozen=True, slots=True)
class Shares:
    """Joules of each tenant, in their order, and of nobody: unreserved (idle), or not known whose."""

    tenants: tuple[float, ...]
    idle: float
    unattributed: float


@dataclass(frozen=True, slots=True)
class Attribution:
    """One node's joules in one window: the GPUs' part, and the host's part by model (empty when not measured)."""

    gpu: Shares
    host: Mapping[str, Shares]


def attribute(node: NodePower, tenants: Sequence[Tenant], seconds: float) -> Attribution:
    """Share a node's energy of one window of that many seconds, by every model."""
    gpu = _share_gpus(node, tenants, seconds)
    if node.watts is None:
        return Attribution(gpu, {})
    gpu_joules = sum(gpu.tenants) + gpu.idle + gpu.unattributed
    host = max(0.0, node.watts * seconds - gpu_joules)
    return Attribution(gpu, {name: share(host, node, tenants, seconds) for name, share in _MODELS.items()})


def is_known(node: NodePower, tenant: Tenant, model: str) -> bool:
    """Tell whether all is known that a tenant's part rests on: else some of it is unattributed, or another's."""
    if tenant.gpus and tenant.gpu_watts is None and (node.gpu_watts is None or not node.gpus):
        return False
    is_sized = bool(node.cpus) or (model == "allocation" and bool(tenant.gpus and node.gpus))
    return (is_sized or model == "usage") and (tenant.busy_cpus is not None or model == "allocation")


def _share_gpus(node: NodePower, tenants: Sequence[Tenant], seconds: float) -> Shares:
    """Give each tenant its own GPUs' energy; the meters differ, and the node's is believed.

    GPUs that no series shows have no process: they share evenly what the node's GPUs drew beyond the others, with those
    that nobody holds. Where the number of the node's GPUs is not known, that is unattributed.
    """
    own = [(tenant.gpu_watts or 0.0) * tenant.seconds for tenant in tenants]
    measured = node.gpu_watts * seconds if node.gpu_watts is not None else sum(own)
    if node.watts is not None:
        measured = min(measured, node.watts * seconds)
    total = sum(own)
    if total > measured:
        return Shares(tuple(joules * measured / total for joules in own), 0.0, 0.0)
    held = [tenant.gpus * tenant.seconds for tenant in tenants]
    unseen = [tenant.unseen_gpus * tenant.seconds for tenant in tenants]
    rest = measured - total
    if not any(unseen):
        return Shares(tuple(own), rest, 0.0)
    if not node.gpus:
        return Shares(tuple(own), 0.0, rest)
    each = rest / max(sum(unseen), node.gpus * seconds - sum(held) + sum(unseen))
    shares = tuple(known + each * amount for known, amount in zip(own, unseen, strict=True))
    return Shares(shares, max(0.0, measured - sum(shares)), 0.0)


def _allocation(host: float, node: NodePower, tenants: Sequence[Tenant], seconds: float) -> Shares:
    """Share by what is reserved: a GPU job by its share of the node's GPUs, another by its share of the CPUs."""
    return _by_weight(host, [_reserved_part(node, tenant, seconds) for tenant in tenants])


def _usage(host: float, node: NodePower, tenants: Sequence[Tenant], seconds: float) -> Shares:
    """Share 90 % by CPU time (and memory, where the split of their power is measured) and 10 % evenly."""
    if not tenants:
        return Shares((), host, 0.0)
    dram = node.dram_share or 0.0
    even = host * EVEN_SHARE
    total_seconds = sum(tenant.seconds for tenant in tenants)
    parts = [Shares(tuple(even * tenant.seconds / total_seconds for tenant in tenants), 0.0, 0.0)]
    busy = [_times_seconds(tenant.busy_cpus, tenant) for tenant in tenants]
    parts.append(_by_use((host - even) * (1 - dram), busy, tenants))
    if dram:
        used = [_times_seconds(tenant.used_memory_bytes, tenant) for tenant in tenants]
        parts.append(_by_use((host - even) * dram, used, tenants))
    return _add(parts)


def _two_part(host: float, node: NodePower, tenants: Sequence[Tenant], seconds: float) -> Shares:
    """Share the static power by what is reserved, the larger of CPU and memory share, and the rest by CPU time.

    A node whose power at rest is not known yet is shared by what is reserved.
    """
    static = host if node.static_watts is None else min(host, node.static_watts * seconds)
    reserved = _by_weight(static, [_dominant_part(node, tenant, seconds) for tenant in tenants])
    if not tenants:
        return Shares((), host, 0.0)
    busy = [_times_seconds(tenant.busy_cpus, tenant) for tenant in tenants]
    whole = node.busy_cpus * seconds if node.busy_cpus is not None else 0.0
    return _add([reserved, _by_use(host - static, busy, tenants, whole)])


_MODELS: Mapping[str, Callable[[float, NodePower, Sequence[Tenant], float], Shares]] = {
    "allocation": _allocation,
    "usage": _usage,
    "two_part": _two_part,
}


def _reserved_part(node: NodePower, tenant: Tenant, seconds: float) -> float | None:
    if tenant.gpus and node.gpus:
        return tenant.gpus / node.gpus * tenant.seconds / seconds
    return tenant.cpus / node.cpus * tenant.seconds / seconds if node.cpus else None


def _dominant_part(node: NodePower, tenant: Tenant, seconds: float) -> float | None:
    if not node.cpus:
        return None
    memory = tenant.memory_bytes / node.memory_bytes if node.memory_bytes else 0.0
    return max(tenant.cpus / node.cpus, memory) * tenant.seconds / seconds


def _by_weight(joules: float, parts: Sequence[float | None]) -> Shares:
    """Give each its part of the node; what nobody reserved is idle. A node of unknown size cannot be shared."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return Shares((0.0,) * len(parts), 0.0, joules)
    total = sum(known)
    # Dominant shares, or a node with more CPUs in Slurm than it has, add up to more than the node.
    scale = joules / max(1.0, total)
    shares = tuple(part * scale for part in known)
    return Shares(shares, max(0.0, joules - sum(shares)) if total < 1.0 else 0.0, 0.0)


def _by_use(joules: float, used: Sequence[float | None], tenants: Sequence[Tenant], whole: float = 0.0) -> Shares:
    """Share by what each used of the sum, or of the whole node's use if that is more.

    What the system used, and the part of those whose use is not known (by their CPUs), is nobody's.
    """
    held = sum(tenant.cpus * tenant.seconds for tenant in tenants)
    unseen = sum(tenant.cpus * tenant.seconds for tenant, amount in zip(tenants, used, strict=True) if amount is None)
    seen = joules * (1 - unseen / held) if held else 0.0
    total = max(sum(amount for amount in used if amount is not None), whole * (1 - unseen / held) if held else 0.0)
    if total <= 0:
        return Shares((0.0,) * len(used), 0.0, joules)
    shares = tuple(seen * (amount or 0.0) / total for amount in used)
    return Shares(shares, 0.0, max(0.0, joules - sum(shares)))


def _times_seconds(amount: float | None, tenant: Tenant) -> float | None:
    return None if amount is None else amount * tenant.seconds


def _add(parts: Sequence[Shares]) -> Shares:
    tenants = tuple(map(sum, zip(*(part.tenants for part in parts), strict=True)))
    return Shares(tenants, sum(part.idle for part in parts), sum(part.unattributed for part in parts))
