"""Energy: what is drawn, whose it is, what it costs."""

from typing import Final

from boards.frame import CLUSTERS, Board, Row
from boards.promql import CLUSTERS as C
from boards.promql import NAMED, added, now, total
from boards.style import UNKNOWN, Column, Line, Rows, graph, listed, single

_JOULES: Final = "cluster_energy_joules_total"
_SUM: Final = Row(
    "In the time shown",
    [
        single("Energy of the nodes", "Measured nodes only.", f"{total(added(_JOULES, C))} / 3.6e6", "kwatth"),
        single(
            "Energy of jobs",
            "As far as it was measured.",
            f"{total(added(_JOULES, C, component='jobs'))} / 3.6e6",
            "kwatth",
        ),
        single(
            "Part that is nobody's",
            "Nodes that are on and have no job.",
            f"{total(added(_JOULES, C, component='idle'))} / {total(added(_JOULES, C))}",
            "percentunit",
            limits=(0.2, 0.4),
        ),
        single(
            "Part that is not known whose",
            "Of the system, and of jobs whose use was not seen.",
            f"{total(added(_JOULES, C, component='unattributed'))} / {total(added(_JOULES, C))}",
            "percentunit",
        ),
        single("CO2 equivalent in kg", "Of the jobs' energy.", f"{total(added('account_co2_grams_total', C))} / 1000"),
        single(
            "Cost of jobs by currency",
            "Energy, cooling and hardware, by the configured prices; none without prices.",
            total(added("account_cost_total", C), "currency"),
            name="{{currency}}",
        ),
    ],
)

_TIME: Final = Row(
    "Over time",
    [
        graph(
            "Power by whose it is",
            "Of measured nodes, in closed windows of the ledger.",
            Line("jobs", total(now("cluster_power_watts", C, component="jobs"))),
            Line("nobody's", total(now("cluster_power_watts", C, component="idle")), "orange"),
            Line("not known whose", total(now("cluster_power_watts", C, component="unattributed")), UNKNOWN),
            unit="watt",
            stacked=True,
        ),
        graph(
            "Power by account",
            "The 15 that draw most.",
            Line("{{account}}", f"topk(15, {total(now('account_power_watts', C, NAMED['account']), 'account')})"),
            unit="watt",
        ),
        graph(
            "Nodes by what measures them",
            "redfish: the node's controller. rapl: its processors only.",
            Line("{{meter}}", f"count by (meter) ({now('node_power_meter_info', C)})"),
            stacked=True,
        ),
        graph(
            "Age of the last closed window",
            "Energy is added up to it.",
            Line("{{cluster}}", f"time() - max by (cluster) (hpc_aggregator_ledger_window_timestamp_seconds{{{C}}})"),
            unit="s",
        ),
    ],
)


def _spent(kind: str, *labels: str) -> Rows:
    joules = total(added(f"{kind}_energy_joules_total", C, NAMED[kind]), *labels)
    money = total(added(f"{kind}_cost_total", C, component="electricity"), *labels)
    return Rows(
        labels,
        [
            Column("Energy", f"topk(25, {joules} / 3.6e6)", "kwatth"),
            Column("CO2 in kg", f"{total(added(f'{kind}_co2_grams_total', C), *labels)} / 1000"),
            Column("Cost of electricity", money),
        ],
    )


_WHO: Final = Row(
    "Whose it is in the time shown",
    [
        listed(
            "Accounts",
            "Each account without those below it, as far as it was measured.",
            _spent("account", "cluster", "account"),
            span=12,
        ),
        listed(
            "Users", "Over all their accounts, as far as it was measured.", _spent("user", "cluster", "user"), span=12
        ),
    ],
)

BOARD: Final = Board(
    "energy",
    "HPC: energy",
    "What the nodes draw, whose it is, and what it costs.",
    [CLUSTERS],
    [_SUM, _TIME, _WHO],
    since="now-24h",
)
