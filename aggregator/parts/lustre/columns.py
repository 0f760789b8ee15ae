"""The tables of Lustre: the rates of jobs, users, accounts and the whole cluster, by file system."""

from collections.abc import Iterator, Mapping
from typing import Final

import polars as pl

from aggregator.engine.column import Column, Family, Sample, Table
from aggregator.parts.jobs.declare import coverage, coverage_of, fact, table_of_runs

# The column of each kind of rate.
RATES: Final[Mapping[str, str]] = {
    "read": "read_bytes_per_second",
    "write": "write_bytes_per_second",
    "metadata": "metadata_operations_per_second",
}
_HELP: Final[Mapping[str, str]] = {
    "read": "Bytes read from Lustre",
    "write": "Bytes written to Lustre",
    "metadata": "Metadata operations on Lustre",
}
_SOURCES: Final[Mapping[str, str]] = {
    "read": "Σ rate(lustre_job_read_bytes_total) on OSTs",
    "write": "Σ rate(lustre_job_write_bytes_total) on OSTs",
    "metadata": "Σ rate(lustre_job_stats_total) on MDTs",
}
_NO_RATE: Final = "no series of this kind, or it could not be read"


def _rates(prefix: str, of_whom: str, cost: str, *labels: str) -> Iterator[Column]:
    """Declare the three rates of somebody by file system and maybe more labels."""
    for kind, name in RATES.items():
        help = f"{_HELP[kind]} per second {of_whom}."
        family = Family(
            name=f"hpc_{prefix}_lustre_{name}", help=help, cost=cost, source=_SOURCES[kind],
            labels=("filesystem", *labels),
        )  # fmt: skip
        sample = Sample(family=family, label_columns={label: label for label in family.labels})
        yield fact(name, pl.Float64, help, _NO_RATE, sample)


_FILESYSTEM: Final = fact("filesystem", pl.String, "The file system, as its targets name it.")
_USER: Final = fact("user", pl.String, "Who it is.")
_ACCOUNT: Final = fact("account", pl.String, "The account that is charged; empty for what users do outside of jobs.")
OF_JOBS: Final = (
    coverage("lustre", "the targets that show the job's work", "lustre_coverage"),
    fact("lustre_is_own", pl.Boolean, "Whether what Lustre's servers show of its job id is this run's alone.",
         "Lustre's servers are not read"),
    fact("lustre_bytes_per_second", pl.Float64, "Bytes read and written per second on all file systems.",
         inputs=("lustre_read", "lustre_write"), coverage=coverage_of("lustre")),
    fact("lustre_metadata_operations_per_second", pl.Float64, "Metadata operations per second on all file systems.",
         inputs=("lustre_metadata",), coverage=coverage_of("lustre")),
)  # fmt: skip
JOBS: Final = table_of_runs("job_lustre", "file system of a job", (
    _FILESYSTEM,
    *_rates("job", "by the run, while it is the only one of its job id", "jobs that use Lustre"),
    fact("coverage_ratio", pl.Float64, "Share of the targets that show the job's work, on the worst file system."),
))  # fmt: skip
USERS: Final = Table(
    name="user_lustre", of="file system of a user", collect="users", labels={"user": "user", "account": "account"},
    columns=(
        _USER, _ACCOUNT, _FILESYSTEM,
        *_rates("user", "by the user's jobs under the account, or without an account outside of jobs",
                "users of Lustre × file systems"),
    ),
)  # fmt: skip
ACCOUNTS: Final = Table(
    name="account_lustre", of="file system of an account", collect="accounts", labels={"account": "account"},
    columns=(
        _ACCOUNT, _FILESYSTEM,
        *_rates("account", "by the account's own jobs", "accounts that use Lustre × file systems"),
    ),
)  # fmt: skip
CLUSTER: Final = Table(
    name="cluster_lustre", of="file system of a cluster", collect="nodes", labels={},
    columns=(
        _FILESYSTEM,
        fact("part", pl.String, "Whose it is: of `jobs`, of `users` outside of jobs, or `unknown`."),
        *_rates("cluster", "by jobs, by users outside of jobs, and by what cannot be told", "3 × file systems", "part"),
    ),
)  # fmt: skip
TABLES: Final = (JOBS, USERS, ACCOUNTS, CLUSTER)
