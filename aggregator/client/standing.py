"""`account` and `user`: what their jobs hold and waste, fair share, and how far they are from their limits."""

import argparse
from collections.abc import Iterator, Sequence
from typing import Any, Final

from aggregator.client.output import Command, Display, of_cluster, who_is
from aggregator.client.screen import BAD, FAINT, HEAD, POOR, Line, Screen
from aggregator.client.service import Api, Call, named
from aggregator.client.table import Column, plain, table
from aggregator.client.units import UNKNOWN, counted, energy, field, hours, mass, number, percent, power

Row = dict[str, Any]
_BAR_CELLS: Final = 12
# Share of a limit from which it is near.
NEAR, FULL = 0.8, 0.95


def account_command(flags: argparse.Namespace, service: Api) -> Command:
    """Show one account."""
    path = of_cluster(service, "")

    def draw() -> Display:
        answer = service.ask(Call(f"{path}/accounts/{named(flags.account)}"))
        return Display(lambda screen: _account(screen, answer.data), answer.warnings)

    return Command(
        csv=lambda: Call(f"{path}/accounts", (("account", flags.account),)),
        json=lambda: service.ask(Call(f"{path}/accounts/{named(flags.account)}")), draw=draw,
    )  # fmt: skip


def user_command(flags: argparse.Namespace, service: Api) -> Command:
    """Show one user under each account."""
    user = flags.user or who_is(service, None).user
    path = of_cluster(service, "")

    def draw() -> Display:
        answer = service.ask(Call(f"{path}/users/{named(user)}"))
        return Display(lambda screen: _user(screen, answer.data), answer.warnings)

    return Command(
        csv=lambda: Call(f"{path}/users", (("user", user),)),
        json=lambda: service.ask(Call(f"{path}/users/{named(user)}")), draw=draw,
    )  # fmt: skip


def _account(screen: Screen, data: Row) -> None:
    screen.print([(f"Account {data['account']}", HEAD), f"  {data['organization'] or ''}"])
    below = ", ".join(data["children"])
    facts = (data["parent"] and f"below {data['parent']}", below and f"above {below}")
    if any(facts):
        screen.print([(" · ".join(filter(None, facts)), FAINT)])
    screen.print(*_sums(data), *_standing(data), "", *limits(screen, data["limits"]))
    if data["users"]:
        screen.print("")
        rows = sorted(data["users"], key=lambda each: (-(each["wasted_cpu_seconds"] or 0.0), each["user"]))
        table(screen, _USERS, rows)


_USERS: Final = (
    plain("user", "USER", right=False), plain("allocated_cpus", "CPUS"), plain("wasted_cpus", "WASTED CPUS"),
    plain("allocated_gpus", "GPUS", 1), plain("wasted_gpus", "WASTED GPUS", 1),
    Column("CPU-HOURS", ("wasted_cpu_seconds",), lambda row: hours(row["wasted_cpu_seconds"], ""), 2),
    Column("GPU-HOURS", ("wasted_gpu_seconds",), lambda row: hours(row["wasted_gpu_seconds"], ""), 2),
)  # fmt: skip


def _user(screen: Screen, data: Row) -> None:
    screen.print([(f"User {data['user']}", HEAD)])
    for each in data["accounts"]:
        screen.print("", [("Account ", FAINT), (each["account"] or "none", HEAD)])
        screen.print(*_sums(each), *_standing(each), *limits(screen, each["limits"]))


def _sums(row: Row) -> Iterator[Line]:
    """Write what jobs hold, use and waste now, and what has become of it."""
    jobs = ", ".join(f"{each['count']} {each['state']}" for each in row["jobs"]) or "none"
    yield [f"Jobs       {jobs}"]
    # null: no GPUs are held.
    units = ("cpu", "gpu") if row["allocated_gpus"] else ("cpu",)
    held, wasted = (
        ", ".join(counted(row[f"{what}_{unit}s"], unit.upper()) for unit in units) for what in ("allocated", "wasted")
    )
    yield [f"Held       {held}; wasted now ", (wasted, HEAD)]
    so_far = ", ".join(hours(row[f"wasted_{unit}_seconds"], f"{unit.upper()}-hours") for unit in units)
    yield [f"Wasted     {so_far} so far by running jobs"]
    if rules := ", ".join(f"{each['count']} {each['reason']} ({each['severity']})" for each in row["waste"]):
        yield [f"Rules      {rules}"]
    yield [
        f"Energy     {energy(row['energy_joules_total'])}, CO2 {mass(row['co2_grams_total'])}, "
        f"now {power(row['power_watts'])}"
    ]


def _standing(row: Row) -> Iterator[Line]:
    yield [f"Fair share {fair_share(row)}"]


def fair_share(row: Row) -> str:
    """Write the fair-share level; above 1 the owner is served less than its share."""
    level = row["fairshare_level"]
    if row["fairshare_source"] is None:
        return UNKNOWN
    if level is None:
        return f"nothing used of a share of {_share(row['shares_ratio'])}"
    how = "less than" if level > 1 else "more than" if level < 1 else "just"
    return f"{level:.2f}, used {how} its share of {_share(row['shares_ratio'])}"


def _share(ratio: float | None) -> str:
    return UNKNOWN if ratio is None else f"{percent(ratio)} %"


def limits(screen: Screen, every: Sequence[Row]) -> Iterator[Line]:
    """Draw limits of which something is used, the nearest first."""
    known = nearest(every)
    used = [each for each in known if used_ratio(each) > 0]
    for each in used:
        ratio = used_ratio(each)
        style = BAD if ratio >= FULL else POOR if ratio >= NEAR else ""
        bar = screen.bar(ratio, _BAR_CELLS)
        yield [f"{bar} {percent(ratio):>3} % ", (limit_text(each), style), (f" ({_origin(each)})", FAINT)]
    if rest := len(known) - len(used):
        yield [(f"nothing is used of {rest} more limit{'s' * (rest > 1)}", FAINT)]


def nearest(every: Sequence[Row]) -> list[Row]:
    """Put limits in order, those first that are nearest; leave out those of which the use is not known."""
    return sorted((each for each in every if each["used"] is not None), key=lambda each: -used_ratio(each))


def used_ratio(limit: Row) -> float:
    """Give used ÷ limit; a limit of 0 is used up."""
    return float(limit["used"] / limit["value"]) if limit["value"] else 1.0


def limit_text(limit: Row) -> str:
    """Write a limit, with what is used of it."""
    name = f"{limit['limit']} {limit['tres'] or ''}".strip()
    unit, used, value = limit["unit"], limit["used"], limit["value"]
    if unit in ("bytes", "seconds"):
        return f"{name}: {field(f'_{unit}', used)} of {field(f'_{unit}', value)}"
    if unit.endswith("-seconds"):
        return f"{name}: {number(used / 3600)} of {hours(value, unit.replace('-seconds', '-hours'))}"
    return f"{name}: {number(used)} of {number(value)} {unit}"


def _origin(limit: Row) -> str:
    return ", ".join(name if kind == "account" else f"{kind} {name}" for kind, name in limit["from"].items())
