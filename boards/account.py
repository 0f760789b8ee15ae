"""One account: what it holds, uses, wastes and may."""

from typing import Final

from boards import owner
from boards.frame import CLUSTER, Board, Choice, Row
from boards.promql import NAMED, largest, now, total
from boards.style import Column, Line, Rows, graph, listed

_OF: Final = ('cluster="$cluster"', 'account="$account"')
_CPUS_AND_GPUS: Final = 'tres=~"cpu|gres/gpu.*"'
_LIMIT: Final = ("limit", "tres")
_LIMITS: Final = Row(
    "What it may and has had",
    [
        listed(
            "Limits",
            "Of the account with all below it; mem in bytes, …Mins in resource-seconds. No ratio: not known.",
            Rows(
                _LIMIT,
                [
                    Column(
                        "Used",
                        f"{total(now('account_limit_used', *_OF), *_LIMIT)}"
                        f" / ({total(now('account_limit', *_OF), *_LIMIT)} > 0)",
                        "percentunit",
                        (0.9, 1),
                    ),
                    Column("Amount used", total(now("account_limit_used", *_OF), *_LIMIT)),
                    Column("Limit", total(now("account_limit", *_OF), *_LIMIT)),
                ],
            ),
            span=12,
        ),
        listed(
            "Hours used by window",
            "Of the account with all below it, from slurmdbd's roll-up: CPU-hours, GPU-hours.",
            Rows(
                ("tres", "window"),
                [
                    Column(
                        "Hours", f"{total(now('account_usage_seconds', *_OF, _CPUS_AND_GPUS), 'tres', 'window')} / 3600"
                    ),
                ],
            ),
            span=12,
        ),
        graph(
            "Fair share",
            "Level of Fair Tree: above 1 under-served, below 1 over-served. No line: nothing was used.",
            Line("{{source}}", total(now("account_fairshare_level", *_OF), "source")),
        ),
        graph(
            "Usage beside the share",
            "Decayed usage and shares, as parts of the account's level.",
            Line("usage", total(now("account_usage_ratio", *_OF))),
            Line("shares", total(now("account_shares_ratio", *_OF)), dashed=True),
            unit="percentunit",
        ),
    ],
)

_USERS: Final = Row(
    "Its users",
    [
        listed(
            "Users now",
            "Under this account. An empty cell is not known, or the user holds none.",
            Rows(
                ("cluster", "user"),
                [
                    Column(
                        "CPUs allocated",
                        largest(50, now("user_allocated_cpus", *_OF, NAMED["user"]), "cluster", "user"),
                    ),
                    Column("CPUs wasted", total(now("user_wasted_cpus", *_OF), "cluster", "user")),
                    Column("GPUs allocated", total(now("user_allocated_gpus", *_OF), "cluster", "user")),
                    Column("GPUs wasted", total(now("user_wasted_gpus", *_OF), "cluster", "user")),
                    Column("Memory wasted", total(now("user_wasted_memory_bytes", *_OF), "cluster", "user"), "bytes"),
                    Column("Findings", total(now("user_waste_jobs", *_OF), "cluster", "user")),
                ],
            ),
        ),
    ],
)

BOARD: Final = Board(
    "account",
    "HPC: an account",
    "What an account holds, uses, wastes and may. Use is that of the account itself; limits"
    " and usage are those of all below it, too.",
    [CLUSTER, Choice("account", 'hpc_account_info{cluster="$cluster"}')],
    [
        owner.state("account", *_OF),
        owner.use("account", *_OF),
        owner.spent("account", *_OF),
        _LIMITS,
        _USERS,
        owner.lustre("account", *_OF),
    ],
)
