"""The account page (C9): a line for each user; Lustre and the fair share are elsewhere."""

from tests.catalogue.entry import Entry
from tests.catalogue.user import HELD, REFRESHED

_SERIES = "clusters/lab/accounts/$ACCT/series"
_GIB = 2.0**30
_USER = {"user": "user"}
_CONSTANT = "The portal takes 300 W for each GPU (41)."


def _by_user(rule: str) -> str:
    return f'sum(slurm_job:{rule}{{account="$ACCT", $F}}) by (user)'


_CORES, _USED_CORES = _by_user("allocated_core:count_user_account"), _by_user("used_core:sum_user_account")
_MEMORY, _USED_MEMORY = _by_user("allocated_memory:sum_user_account"), _by_user("rss_memory:sum_user_account")
_GPUS, _USED_GPUS = _by_user("allocated_gpu:count_user_account"), _by_user("used_gpu:sum_user_account")
_POWER = 'slurm_job_power_gpu{account="$ACCT", $F}'

ENTRIES = (
    Entry(
        id="AC1", portal='slurm_job:process_usage:sum_account{account="$ACCT", $F}', path=_SERIES,
        metric="applications", labels={"application": "bin"}, only={"application": "simulate"},
        note="The largest, with the lines `_other` and `_unaccounted`.",
    ),
    Entry(id="AC2", portal=_CORES, path=_SERIES, metric="allocated_cpus", labels=_USER, picks=HELD),
    Entry(id="AC3", portal=_USED_CORES, path=_SERIES, metric="used_cpus", labels=_USER, tolerance=REFRESHED),
    Entry(
        id="AC4", portal=f"clamp_min({_CORES} - {_USED_CORES}, 0)", path=_SERIES, metric="wasted_cpus", labels=_USER,
        differs="Ours is added up over jobs, none of which is below 0, so that a job with more threads than CPUs does"
        " not hide another's waste; CPUs on nodes that are not observed are not called wasted (23, 32).",
    ),
    Entry(
        id="AC5", portal=f"{_MEMORY} / (1024*1024*1024)", path=_SERIES, metric="allocated_memory", labels=_USER,
        factor=_GIB, picks=HELD,
    ),
    Entry(
        id="AC6", portal=f"{_USED_MEMORY} / (1024*1024*1024)", path=_SERIES, metric="used_memory", labels=_USER,
        factor=_GIB,
    ),
    Entry(
        id="AC7", portal=f"clamp_min({_MEMORY} - {_USED_MEMORY}, 0) / (1024*1024*1024)", path=_SERIES,
        metric="wasted_memory", labels=_USER, factor=_GIB,
        differs="What a job holds within its fair share of a node, or has needed at its peak, is not wasted (23, 25).",
    ),
    Entry(id="AC10", portal=_GPUS, path=_SERIES, metric="allocated_gpus", labels=_USER, picks=HELD),
    Entry(id="AC11", portal=_USED_GPUS, path=_SERIES, metric="used_gpus", labels=_USER, picks=HELD),
    Entry(
        id="AC12", portal=f"{_GPUS} - {_USED_GPUS}", path=_SERIES, metric="wasted_gpus", labels=_USER,
        differs="GPUs that no exporter shows are wasted where their node's exporter is up; the portal does not count"
        " them as allocated (23).",
    ),
    Entry(
        id="AC13", portal=f"count({_POWER}) by (user) * 300", path=_SERIES, metric="gpu_power", labels=_USER,
        differs=_CONSTANT,
    ),
    Entry(
        id="AC14", portal=f"sum({_POWER}) by (user) / 1000", path=_SERIES, metric="gpu_power", labels=_USER,
        note="Watts, which the portal's axis calls kW (4).",
    ),
    Entry(
        id="AC15", portal=f"(count({_POWER}) by (user) * 300) - (sum({_POWER}) by (user) / 1000)", path=_SERIES,
        metric="gpu_power", labels=_USER, differs=_CONSTANT,
    ),
    Entry(
        id="AC16", portal='sum(slurm_job:allocated_core:count_user_account{account="$ACCT", $F}) or vector(0)',
        path=_SERIES, metric="allocated_cpus", differs=HELD + " A time without data has no point, not 0 (32).",
    ),
    Entry(
        id="AC16", portal='sum(slurm_job:allocated_gpu:count_user_account{account="$ACCT", $F}) or vector(0)',
        path=_SERIES, metric="allocated_gpus", differs=HELD + " A time without data has no point, not 0 (32).",
    ),
    Entry(
        id="AC17", portal='sum(slurm_job:used_core:sum_user_account{account="$ACCT", $F}) or vector(0)',
        path=_SERIES, metric="used_cpus", tolerance=REFRESHED, note="A time without data has no point, not 0 (32).",
    ),
    Entry(
        id="AC17", portal='sum(slurm_job:used_gpu:sum_user_account{account="$ACCT", $F}) or vector(0)',
        path=_SERIES, metric="used_gpus", note="A time without data has no point, not 0 (32).",
    ),
)  # fmt: skip
