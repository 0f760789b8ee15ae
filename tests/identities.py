"""Identities that hold on every page of `/metrics`, at every scrape: parts are the whole, and sums are one sum.

`problems` gives what does not hold, in words; `steps_back` what a counter must never do between two pages.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

Labels = Mapping[str, str]
Key = tuple[str, ...]
Sums = dict[Key, float]

# What users and accounts have of their running jobs: their family → the jobs'.
OF_JOBS = {
    "allocated_cpus": "allocated_cpus", "allocated_memory_bytes": "allocated_memory_bytes",
    "allocated_gpus": "allocated_gpus", "used_cpus": "used_cpus", "used_memory_bytes": "memory_used_bytes",
    "memory_peak_bytes": "memory_peak_bytes", "busy_gpus": "gpus_busy", "wasted_cpus": "wasted_cpus",
    "wasted_memory_bytes": "wasted_memory_bytes", "wasted_gpus": "wasted_gpus",
    "allocated_gpu_units": "allocated_gpu_units", "wasted_gpu_units": "wasted_gpu_units", "power_watts": "power_watts",
}  # fmt: skip
# What users have wasted is what their accounts, and the whole cluster, have.
WASTED = (
    "wasted_cpu_seconds_total", "wasted_gpu_seconds_total", "wasted_energy_joules_total", "wasted_cost_total",
)  # fmt: skip
# What accounts have of their users.
OF_USERS = (
    *OF_JOBS, *WASTED, "used_gpus", "jobs", "waste_jobs", "energy_joules_total", "co2_grams_total", "cost_total",
    "lustre_read_bytes_per_second", "lustre_write_bytes_per_second", "lustre_metadata_operations_per_second",
)  # fmt: skip
# A part of a job and the whole that it cannot exceed.
_WITHIN = {
    "hpc_job_wasted_cpus": "hpc_job_allocated_cpus", "hpc_job_wasted_memory_bytes": "hpc_job_allocated_memory_bytes",
    "hpc_job_gpus_busy": "hpc_job_gpus_observed", "hpc_job_wasted_gpus": "hpc_job_allocated_gpus",
    "hpc_job_wasted_gpu_units": "hpc_job_allocated_gpu_units",
    "hpc_job_allocated_gpu_equivalents": "hpc_job_allocated_gpus",
}  # fmt: skip
_FROM_0_TO_1 = (
    "_coverage_ratio", "_gpu_utilization_ratio", "_gpu_efficiency_ratio", "_shares_ratio", "_usage_ratio",
)  # fmt: skip
_PROJECTS = (
    "vcpus", "used_cpus", "memory_bytes", "memory_used_bytes", "disk_read_bytes_per_second",
    "disk_write_bytes_per_second", "network_receive_bytes_per_second", "network_transmit_bytes_per_second",
)  # fmt: skip
_ON_TAPE = ("released", "retrieving", "synchro")
_ENOUGH = 20


@dataclass(frozen=True, repr=False)
class Page:
    """One answer of /metrics: the samples of each name, and which names count."""

    of: dict[str, list[tuple[Labels, float]]]
    counters: frozenset[str]

    @classmethod
    def parse(cls, text: str) -> "Page":
        found: dict[str, list[tuple[Labels, float]]] = defaultdict(list)
        counters: set[str] = set()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found[sample.name].append((sample.labels, sample.value))
                if family.type in ("counter", "histogram") and not sample.name.endswith("_created"):
                    counters.add(sample.name)
        return cls(dict(found), frozenset(counters))

    @classmethod
    def asked(cls, service: Any) -> "Page":
        """Scrape a service of the lab."""
        status, body = service.get("/metrics")
        assert status == 200
        return cls.parse(body.decode())

    def samples(self, name: str, **labels: str) -> list[tuple[Labels, float]]:
        return [each for each in self.of.get(name, []) if labels.items() <= each[0].items()]

    def value(self, name: str, **labels: str) -> float | None:
        """Give the first sample with these labels, None without one."""
        return next((value for _, value in self.samples(name, **labels)), None)

    def sums(self, name: str, by: Collection[str], only: Callable[[Labels], bool] | None = None) -> Sums:
        """Add up samples by some of their labels."""
        found: Sums = {}
        for labels, value in self.of.get(name, []):
            if only is None or only(labels):
                key = tuple(labels.get(label, "") for label in by)
                found[key] = found.get(key, 0.0) + value
        return found


def problems(page: Page) -> list[str]:
    """Give what does not hold on a page, at most some of each kind."""
    checks = (_numbers, _series, _jobs, _accounts, _power, _energy, _nodes, _storage, _quotas, _usage, _lustre, _clouds)
    return [problem for check in checks for problem in list(check(page))[:_ENOUGH]]


def steps_back(before: Page, after: Page) -> list[str]:
    """Give the counters that went back from one page to a later one; a job's may where another run has its id."""
    submits = [page.sums("hpc_job_submit_timestamp_seconds", ("cluster", "slurmjobid")) for page in (before, after)]
    found = []
    for name in sorted(before.counters & after.counters):
        earlier = {_key(labels): value for labels, value in before.of[name]}
        for labels, value in after.of[name]:
            run = labels.get("cluster", ""), labels.get("slurmjobid", "")
            is_another = submits[0].get(run) != submits[1].get(run)
            if value < earlier.get(_key(labels), 0.0) * (1 - 1e-12) and not is_another:
                found.append(f"{name}{dict(labels)} went back from {earlier[_key(labels)]} to {value}")
    return found


def _key(labels: Labels) -> Key:
    return tuple(f"{name}={labels[name]}" for name in sorted(labels))


def _numbers(page: Page) -> Iterator[str]:
    """No NaN, nothing negative, ratios of parts from 0 to 1."""
    for name, samples in page.of.items():
        for labels, value in samples:
            if math.isnan(value) or value < 0:
                yield f"{name}{dict(labels)} is {value}"
            elif name.startswith("hpc_") and name.endswith(_FROM_0_TO_1) and value > 1 + 1e-9:
                yield f"{name}{dict(labels)} is {value}, above 1"
    for part, whole in _WITHIN.items():
        wholes = page.sums(whole, ("cluster", "slurmjobid"))
        for key, value in page.sums(part, ("cluster", "slurmjobid")).items():
            if value > wholes.get(key, 0.0) * (1 + 1e-9):
                yield f"{part} of job {key} is {value}, {whole} {wholes.get(key)}"


def _series(page: Page) -> Iterator[str]:
    """The service counts its own series right, and gives each once."""
    for labels, value in page.samples("hpc_aggregator_series"):
        name = labels["family"]
        found = len(page.of.get(name, ()))
        if found and found != value and not any(f"{name}_{end}" in page.of for end in ("bucket", "sum")):
            yield f"hpc_aggregator_series of {name} is {value}, there are {found}"
    for name, samples in page.of.items():
        if len({_key(labels) for labels, _ in samples}) < len(samples):
            yield f"{name} has a series twice"


def _jobs(page: Page) -> Iterator[str]:
    """Σ jobs = users, of the jobs that hold something; what ended in the ledger's last window had power there."""
    held = {
        (labels["cluster"], labels["slurmjobid"])
        for labels, _ in page.samples("hpc_job_info") if labels["state"] in ("running", "suspended")
    }  # fmt: skip

    def holds(labels: Labels) -> bool:
        return (labels["cluster"], labels["slurmjobid"]) in held

    for of_user, of_job in OF_JOBS.items():
        by = ("cluster", "account", "user", *(("gpu_type",) if of_user == "allocated_gpus" else ()))
        users = page.sums(f"hpc_user_{of_user}", by)
        yield from _differ(
            f"Σ hpc_job_{of_job}",
            page.sums(f"hpc_job_{of_job}", by, None if of_user == "power_watts" else holds),
            f"hpc_user_{of_user}",
            users,
        )
    by = ("cluster", "account", "user", "reason", "severity")
    findings = page.sums("hpc_job_waste", by)
    yield from _differ("Σ hpc_job_waste", findings, "hpc_user_waste_jobs", page.sums("hpc_user_waste_jobs", by))
    by = ("cluster", "account", "user")
    running = page.sums("hpc_job_info", by, lambda labels: labels["state"] == "running")
    users = page.sums("hpc_user_jobs", by, lambda labels: labels["state"] == "running")
    yield from _differ("running hpc_job_info", running, "hpc_user_jobs", users)


def _accounts(page: Page) -> Iterator[str]:
    """Σ users = account, of everything that both have; what users do outside of jobs is no account's."""
    for name in OF_USERS:
        accounts, users = page.of.get(f"hpc_account_{name}", []), page.of.get(f"hpc_user_{name}", [])
        by = sorted({label for labels, _ in (*accounts, *users) for label in labels} - {"user"})
        yield from _differ(
            f"Σ hpc_user_{name}", page.sums(f"hpc_user_{name}", by, lambda labels: bool(labels.get("account"))),
            f"hpc_account_{name}", page.sums(f"hpc_account_{name}", by),
        )  # fmt: skip


def _power(page: Page) -> Iterator[str]:
    """Σ nodes = cluster by component, and Σ jobs = the nodes' part of jobs."""
    by = ("cluster", "component")
    for kind in ("power_watts", "energy_joules_total"):
        nodes, cluster = page.sums(f"hpc_node_{kind}", by), page.sums(f"hpc_cluster_{kind}", by)
        yield from _differ(f"Σ hpc_node_{kind}", nodes, f"hpc_cluster_{kind}", cluster)
    of_nodes = page.sums("hpc_cluster_power_watts", ("cluster",), lambda labels: labels["component"] == "jobs")
    jobs = page.sums("hpc_job_power_watts", ("cluster",))
    yield from _differ("Σ hpc_job_power_watts", jobs, "the nodes' jobs part", of_nodes)


def _energy(page: Page) -> Iterator[str]:
    """Σ users = the nodes' part of jobs; a job has no more than its user."""
    jobs_part = page.sums("hpc_cluster_energy_joules_total", ("cluster",), lambda labels: labels["component"] == "jobs")
    users = page.sums("hpc_user_energy_joules_total", ("cluster",))
    yield from _differ("Σ hpc_user_energy_joules_total", users, "the nodes' jobs part", jobs_part)
    for name in WASTED:
        by = ("cluster", "component", "currency")
        users, cluster = page.sums(f"hpc_user_{name}", by), page.sums(f"hpc_cluster_{name}", by)
        yield from _differ(f"Σ hpc_user_{name}", users, f"hpc_cluster_{name}", cluster)
    by = ("cluster", "account", "user", "component", "currency")
    for name in ("energy_joules_total", "cost_total"):
        wholes = page.sums(f"hpc_user_{name}", by)
        for key, value in page.sums(f"hpc_user_wasted_{name}", by).items():
            if value > wholes.get(key, 0.0) * (1 + 1e-6):
                yield f"hpc_user_wasted_{name} of {key} is {value}, of {wholes.get(key)}"
    by = ("cluster", "account", "user")
    users = page.sums("hpc_user_energy_joules_total", by)
    for key, joules in page.sums("hpc_job_energy_joules_total", by).items():
        if joules > users.get(key, 0.0) * (1 + 1e-6):
            yield f"Σ hpc_job_energy_joules_total of {key} is {joules}, hpc_user_energy_joules_total {users.get(key)}"


def _nodes(page: Page) -> Iterator[str]:
    """What running jobs hold is on nodes; one that is suspended holds its memory there."""
    state = {(labels["cluster"], labels["slurmjobid"]): labels["state"] for labels, _ in page.samples("hpc_job_info")}
    if not page.of.get("hpc_node_allocated_cpus"):
        return
    for kind, states in {"cpus": ("running",), "memory_bytes": ("running", "suspended")}.items():
        held = page.sums(
            f"hpc_job_allocated_{kind}", ("cluster",),
            lambda labels, states=states: state[labels["cluster"], labels["slurmjobid"]] in states,  # type: ignore[misc]
        )  # fmt: skip
        nodes = page.sums(f"hpc_node_allocated_{kind}", ("cluster",))
        yield from _differ(f"hpc_job_allocated_{kind}", held, f"Σ hpc_node_allocated_{kind}", nodes)


def _storage(page: Page) -> Iterator[str]:
    """Σ users of a group = the group, Σ tiers and types; files of all sizes are the files; tape is HSM's copies."""
    by: tuple[str, ...] = ("filesystem", "group", "tier")
    groups = page.sums("hpc_storage_used_bytes", by)
    users = page.sums("hpc_storage_user_used_bytes", by, lambda labels: bool(labels.get("group")))
    yield from _differ("Σ hpc_storage_user_used_bytes", users, "hpc_storage_used_bytes", groups, both=True)
    by = ("filesystem", "group", "type")
    on_disk = page.sums("hpc_storage_used_inodes", by, lambda labels: labels["tier"] == "disk")
    users = page.sums("hpc_storage_user_used_inodes", by, lambda labels: bool(labels.get("group")))
    yield from _differ("Σ hpc_storage_user_used_inodes", users, "hpc_storage_used_inodes", on_disk, both=True)
    by = ("filesystem", "group")
    files = page.sums("hpc_storage_used_inodes", by, lambda of: (of["tier"], of["type"]) == ("disk", "file"))
    sized = page.sums("hpc_storage_file_size_bytes_count", by)
    yield from _differ("hpc_storage_file_size_bytes_count", sized, "files", files, both=True)
    tape = page.sums("hpc_storage_used_bytes", by, lambda labels: labels["tier"] == "tape")
    copies = page.sums("hpc_storage_hsm_bytes", by, lambda labels: labels["state"] in _ON_TAPE)
    yield from _differ("hpc_storage_hsm_bytes of what is on tape", copies, "tape", tape, both=True)


def _quotas(page: Page) -> Iterator[str]:
    """Ratios are used ÷ quota, where both are of one source."""
    for who, by in (("", ("filesystem", "group")), ("user_", ("filesystem", "group", "user"))):
        for resource in ("bytes", "inodes"):
            quota = page.sums(f"hpc_storage_{who}quota_{resource}", by)
            used = page.sums(
                f"hpc_storage_{who}used_{resource}", by, lambda labels: labels.get("tier", "disk") == "disk"
            )
            ratios = page.sums(f"hpc_storage_{who}quota_used_ratio", by, _of_one_source(page, resource))
            wanted = {key: used[key] / quota[key] for key in ratios.keys() & used.keys() & quota.keys() if quota[key]}
            yield from _differ(f"{who}used ÷ quota in {resource}", wanted, "ratio", ratios, both=True)


def _of_one_source(page: Page, resource: str) -> Callable[[Labels], bool]:
    """Pick the ratios of a resource; quotas of others than Robinhood count their own way, and it counts by its own."""
    scanned = {labels["filesystem"] for labels, _ in page.samples("hpc_storage_last_update_timestamp_seconds")}

    def picks(labels: Labels) -> bool:
        is_one = labels["source"] == "allocations" or labels["filesystem"] not in scanned
        return labels["resource"] == resource and is_one

    return picks


def _usage(page: Page) -> Iterator[str]:
    """An account has at least what the accounts below it have; those that share a level share it whole at most."""
    parents = {(of["cluster"], of["account"]): of.get("parent", "") for of, _ in page.samples("hpc_account_info")}
    below: Sums = defaultdict(float)
    for labels, value in page.samples("hpc_account_usage_seconds"):
        if parent := parents.get((labels["cluster"], labels["account"])):
            below[labels["cluster"], parent, labels["tres"], labels["window"]] += value
    own = page.sums("hpc_account_usage_seconds", ("cluster", "account", "tres", "window"))
    for key, seconds in below.items():
        if seconds > own.get(key, 0.0) * (1 + 1e-9) + 1e-6:
            yield f"accounts below {key} have used {seconds}, it has {own.get(key)}"


def _lustre(page: Page) -> Iterator[str]:
    """What jobs read and write is their accounts'."""
    for kind in ("read_bytes", "write_bytes", "metadata_operations"):
        by = ("cluster", "account", "filesystem")
        accounts = page.sums(f"hpc_account_lustre_{kind}_per_second", by)
        for key, amount in page.sums(f"hpc_job_lustre_{kind}_per_second", by).items():
            if amount > accounts.get(key, 0.0) * (1 + 1e-6):
                yield f"Σ hpc_job_lustre_{kind}_per_second of {key} is {amount}, the account's {accounts.get(key)}"


def _clouds(page: Page) -> Iterator[str]:
    """Σ instances = projects."""
    by = ("cloud", "project")
    for name in _PROJECTS:
        instances, projects = page.sums(f"hpc_instance_{name}", by), page.sums(f"hpc_project_{name}", by)
        yield from _differ(f"Σ hpc_instance_{name}", instances, f"hpc_project_{name}", projects)
    count = page.sums("hpc_instance_info", by)
    yield from _differ("hpc_instance_info", count, "hpc_project_instances", page.sums("hpc_project_instances", by))


def _differ(name: str, sums: Sums, other_name: str, others: Sums, *, both: bool = False) -> Iterator[str]:
    """Compare two ways to the same sums; *both* where only what both know must agree, else nothing known is 0."""
    keys: Iterable[Key] = sums.keys() & others.keys() if both else sums.keys() | others.keys()
    for key in sorted(keys):
        one, other = sums.get(key, 0.0), others.get(key, 0.0)
        if not math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-6):
            yield f"{name} of {key} is {one}, {other_name} {other}"
