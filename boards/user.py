"""One user: what the jobs hold, use and waste, and what is stored."""

from typing import Final

from boards import owner
from boards.frame import CLUSTER, Board, Choice, Row
from boards.promql import now, total
from boards.style import Column, Rows, listed

_OF: Final = ('cluster="$cluster"', 'user="$user"')
_JOB: Final = ("cluster", "slurmjobid", "user", "account")
_JOBS: Final = Row(
    "Running jobs",
    [
        listed(
            "The largest",
            "By CPUs. An empty cell is not known, or the job holds none.",
            Rows(
                _JOB,
                [
                    Column(
                        "CPUs allocated",
                        f"topk(50, max by ({', '.join(_JOB)}) ({now('job_allocated_cpus', *_OF)}) > 0)",
                    ),
                    Column("CPUs wasted", total(now("job_wasted_cpus", *_OF), *_JOB)),
                    Column("GPUs allocated", total(now("job_allocated_gpus", *_OF), *_JOB)),
                    Column("GPUs wasted", total(now("job_wasted_gpus", *_OF), *_JOB)),
                    Column("Memory wasted", total(now("job_wasted_memory_bytes", *_OF), *_JOB), "bytes"),
                    Column("Findings", f"count by ({', '.join(_JOB)}) ({now('job_waste', *_OF)})", limits=(1, 2)),
                ],
            ),
        ),
    ],
)

_SPACE: Final = ("filesystem", "group", "tier")
_STORAGE: Final = Row(
    "Storage",
    [
        listed(
            "Space by group",
            "On all file systems; current copies on tape are counted by their size.",
            Rows(_SPACE, [Column("Used", total(now("storage_user_used_bytes", user="$user"), *_SPACE), "bytes")]),
            span=12,
        ),
        listed(
            "Quotas of the user",
            "Of file systems that have them.",
            Rows(
                ("filesystem", "resource"),
                [
                    Column(
                        "Used",
                        f"max by (filesystem, resource) ({now('storage_user_quota_used_ratio', user='$user')})",
                        "percentunit",
                        (0.9, 0.98),
                    ),
                ],
            ),
            span=12,
        ),
    ],
)

BOARD: Final = Board(
    "user",
    "HPC: a user",
    "What the jobs of a user hold, use and waste, over all accounts, and what the user stores.",
    [CLUSTER, Choice("user", 'hpc_user_jobs{cluster="$cluster",user!="_other"}')],
    [
        owner.state("user", *_OF),
        owner.use("user", *_OF),
        owner.spent("user", *_OF),
        _JOBS,
        _STORAGE,
        owner.lustre("user", *_OF),
    ],
)
