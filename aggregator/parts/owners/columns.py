"""The columns of `users` and `accounts`: what their open jobs hold, use and waste, added up."""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from aggregator.engine.column import Column, Family, Sample, Table

_JOINED: Final = "Σ of hpc_job_*"
_SUMS: Final[Mapping[str, str]] = {
    "allocated_cpus": "CPUs held by running jobs",
    "allocated_memory_bytes": "Memory held by running jobs",
    "used_cpus": "CPUs busy now",
    "used_memory_bytes": "Anonymous memory and swap cache now",
    "memory_peak_bytes": "Sum of the running jobs' peaks, with page cache",
    "used_gpus": "Sum of GPU utilisations now",
    "busy_gpus": "GPUs with a utilisation above 0 now",
    "wasted_cpus": "CPUs held and not busy",
    "wasted_memory_bytes": "Memory held above fair share and peak",
    "wasted_gpus": "GPUs held and not utilised",
    "allocated_gpu_units": "Units (energy.gpu_classes) of the GPUs held by running jobs",
    "wasted_gpu_units": "Units of the GPUs held and not utilised",
}
# In the API only: at `/metrics` the counters of parts/energy have these names in OpenMetrics.
_SO_FAR: Final[Mapping[str, str]] = {
    "wasted_gpu_unit_seconds": "GPU time held and not utilised so far by running jobs, in units × seconds,",
    "wasted_cpu_seconds": "CPU time held and not used so far by running jobs",
    "wasted_gpu_seconds": "GPU time held and not utilised so far by running jobs, as far as it was observed",
}
_COVERED: Final = ("cpu", "memory", "gpu")


def _names(labels: Mapping[str, str]) -> tuple[Column, ...]:
    return tuple(Column(name=name, dtype=pl.String, help=f"The {name}.") for name in labels.values())


def _family(of: str, whose: str, name: str, help: str, *labels: str) -> Family:
    plurals = ["severities" if label == "severity" else f"{label}s" for label in labels]
    return Family(
        name=f"hpc_{of}_{name}", help=f"{help} {whose}.", cost=" × ".join((f"active {of}s", *plurals)), source=_JOINED,
        labels=labels,
    )  # fmt: skip


def _sums(name: str, of: str, whose: str, labels: Mapping[str, str]) -> Table:
    """Declare the same columns for users and for accounts."""
    coverage = _family(of, whose, "coverage_ratio", "Share of what is held that the sums of use rest on", "input")
    numbers = [
        Column(name=column, dtype=pl.Float64, help=f"{help} {whose}.",
               sample=Sample(family=_family(of, whose, column, help)))
        for column, help in _SUMS.items()
    ]  # fmt: skip
    so_far = [
        Column(name=column, dtype=pl.Float64, help=f"{help} {whose}.", adds_up=True) for column, help in _SO_FAR.items()
    ]
    covered = [
        Column(name=f"{each}_coverage_ratio", dtype=pl.Float64, help=f"Share of the {each} held that is observed.",
               null="nothing runs", sample=Sample(family=coverage, labels={"input": each}))
        for each in _COVERED
    ]  # fmt: skip
    power = Column(
        name="power_watts", dtype=pl.Float64, help=f"Power of the jobs {whose} in the last closed window.",
        null="nothing was measured", sample=Sample(family=Family(
            name=f"hpc_{of}_power_watts",
            help=f"Power of the jobs {whose} in the last closed window, as far as it was measured.",
            cost=f"active {of}s", source="Σ of hpc_job_power_watts")),
    )  # fmt: skip
    return Table(
        name=name, of=of, collect=f"{of}s", labels=labels, size="allocated_cpus",
        columns=(*_names(labels), *numbers, *so_far, *covered, power),
    )  # fmt: skip


def _counts(name: str, of: str, labels: Mapping[str, str], family: Family) -> Table:
    """Declare counts that have labels of their own, each in a row."""
    own: dict[str, Any] = {label: label for label in family.labels}
    return Table(
        name=name, of=of, collect=f"{of}s", labels=labels,
        columns=(
            *_names({**labels, **own}),
            Column(name="count", dtype=pl.Int64, help="How many.", sample=Sample(family=family, label_columns=own)),
        ),
    )  # fmt: skip


_USER: Final = {"user": "user", "account": "account"}
_ACCOUNT: Final = {"account": "account"}
_OF_USER: Final = ("user", "of the user under the account")
_OF_ACCOUNT: Final = ("account", "of the account itself")
_STATES: Final = ("jobs", "Open jobs by state, array tasks counted", "state")
_GPUS: Final = ("allocated_gpus", "GPUs held by running jobs, by type", "gpu_type")
USERS: Final = _sums("users", *_OF_USER, _USER)
ACCOUNTS: Final = _sums("accounts", *_OF_ACCOUNT, _ACCOUNT)
USER_STATES: Final = _counts("user_states", "user", _USER, _family(*_OF_USER, *_STATES))
ACCOUNT_STATES: Final = _counts("account_states", "account", _ACCOUNT, _family(*_OF_ACCOUNT, *_STATES))
_FINDINGS: Final = ("waste_jobs", "Running jobs of which a rule of waste holds", "reason", "severity")
USER_GPUS: Final = _counts("user_gpus", "user", _USER, _family(*_OF_USER, *_GPUS))
ACCOUNT_GPUS: Final = _counts("account_gpus", "account", _ACCOUNT, _family(*_OF_ACCOUNT, *_GPUS))
USER_FINDINGS: Final = _counts("user_findings", "user", _USER, _family(*_OF_USER, *_FINDINGS))
ACCOUNT_FINDINGS: Final = _counts("account_findings", "account", _ACCOUNT, _family(*_OF_ACCOUNT, *_FINDINGS))
