"""Which instances idle, and what do the instances of a project add up to?"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace

from aggregator.model.cloud import (
    NOT_LOOKED,
    Activity,
    CloudUse,
    CloudView,
    Idleness,
    IdleRule,
    Instance,
    ProjectSums,
    Rates,
)

# Below this share of the duration an instance is not judged.
COVERAGE_FLOOR = 0.9
_RATES = tuple(each.name for each in fields(Rates))


def join_cloud(cloud: str, use: CloudUse, rule: IdleRule, members: Mapping[str, frozenset[str]]) -> CloudView:
    """Judge the instances of one cloud, and add them up by project; one with members and no instance has 0."""
    judged = (replace(each, idleness=judge_idle(each, rule)) for each in use.instances)
    instances = tuple(sorted(judged, key=lambda each: (each.project, each.uuid)))
    by_project: defaultdict[str, list[Instance]] = defaultdict(list)
    for instance in instances:
        by_project[instance.project].append(instance)
    return CloudView(
        cloud=cloud, time=use.time, instances=instances,
        projects=tuple(add_up_project(name, by_project.get(name, ())) for name in sorted(by_project.keys() | members)),
        hypervisors=use.hypervisors, members=members, rule=rule,
    )  # fmt: skip


def judge_idle(instance: Instance, rule: IdleRule) -> Idleness:
    """Tell whether an instance idles; what was not seen for nearly all of the duration is not judged."""
    did, vcpus = instance.activity, instance.rates.vcpus
    if did is None:
        return NOT_LOOKED
    known = _means(did, vcpus, rule.duration)
    if did.coverage < COVERAGE_FLOOR:
        return replace(known, because=f"seen for {did.coverage:.0%} of the time only")
    if known.cpu_ratio is None:
        return replace(known, because="its CPU time is not known")
    if known.cpu_ratio >= rule.cpu_ratio:
        return replace(known, idle=False, because="it uses its CPUs")
    if known.network_bytes_per_second is None:
        return replace(known, because="its network traffic is not known")
    if known.network_bytes_per_second >= rule.network_bytes_per_second:
        return replace(known, idle=False, because="it uses the network")
    return replace(known, idle=True)


def _means(did: Activity, vcpus: float | None, duration: float) -> Idleness:
    return Idleness(
        cpu_ratio=did.cpu_seconds / (vcpus * duration) if did.cpu_seconds is not None and vcpus else None,
        network_bytes_per_second=None if did.network_bytes is None else did.network_bytes / duration,
        coverage=did.coverage,
    )


def add_up_project(project: str, instances: Sequence[Instance]) -> ProjectSums:
    """Add up the instances of a project, or of all of them."""
    idle = [each for each in instances if each.idleness.idle]
    judged = sum(each.idleness.idle is not None for each in instances)
    rates = Rates(**{name: _add(getattr(each.rates, name) for each in instances) for name in _RATES})
    return ProjectSums(
        project=project, instances=len(instances), judged=judged, idle=len(idle),
        idle_vcpus=_add(each.rates.vcpus for each in idle) if idle else _nothing(judged),
        idle_memory_bytes=_add(each.rates.memory_bytes for each in idle) if idle else _nothing(judged),
        memory_coverage=_memory_coverage(instances, rates.memory_bytes), rates=rates,
    )  # fmt: skip


def _nothing(judged: int) -> float | None:
    """Of instances that were judged none idles; of those that were not nothing is known."""
    return 0.0 if judged else None


def _memory_coverage(instances: Sequence[Instance], memory: float | None) -> float | None:
    known = sum(each.rates.memory_bytes or 0.0 for each in instances if each.rates.memory_used_bytes is not None)
    return known / memory if memory else None


def _add(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
