"""A site as the objects that aggregator.join.ledger adds up, and its ledger as rows of the frames."""

from collections.abc import Mapping
from typing import Any

from aggregator.join.ledger import LedgerBook
from aggregator.model.accounting import JobState, Run
from aggregator.model.energy import METERS, MODELS, Ledger, NodePower, Power, PowerWindow
from aggregator.model.tres import Allocation
from aggregator.model.use import Gpu, Use
from aggregator.parts.energy.frames import COST_COMPONENTS
from tests.unit.parts.energy.ledger_site import BEGIN, Row, Site

_OF_NODE = ("watts", "gpu_watts", "static_watts", "cpus", "busy_cpus", "memory_bytes", "gpus", "dram_share", "covered",
            "meter", "lacks_gpus")  # fmt: skip


def book(site: Site) -> LedgerBook:
    """Add all windows of a site."""
    book, runs = LedgerBook(Ledger(BEGIN), site.prices), [_run(row, site) for row in site.runs]
    for number in range(site.windows):
        book.add(_window(site, number), runs)
    return book


def _run(row: Row, site: Site) -> Run:
    allocated = Allocation(
        row["allocated_cpus"], row["allocated_memory_bytes"], len(row["nodes"]),
        (site.gpus_of or {}).get(row["run_id"], {}),
    )  # fmt: skip
    return Run(
        cluster="narval", run_id=row["run_id"], job_id=row["job_id"], user=row["user"], account=row["account"],
        state=JobState.SUSPENDED if row["is_suspended"] else JobState.RUNNING, submit=BEGIN - 1000,
        start=row["start"], end=row["end"], suspended_since=row["suspended_since"], allocated=allocated,
        nodes=tuple(row["nodes"]),
    )  # fmt: skip


def _window(site: Site, number: int) -> PowerWindow:
    nodes, used, gpus = (
        [row for row in rows if row["window"] == number] for rows in (site.nodes, site.used, site.gpus)
    )
    cpus, memory, shown, boards = _values(used, "used_cpus"), _values(used, "used_memory_bytes"), {}, {}
    for row in gpus:
        if row["utilization"] is not None:
            shown.setdefault(row["job_id"], []).append(Gpu(row["node"], str(len(shown)), row["utilization"]))
        if row["watts"] is not None:
            boards.setdefault(row["job_id"], {}).setdefault(row["node"], []).append(row["watts"])
    healthy = frozenset(row["node"] for row in nodes if row["vouches_memory"])
    is_blank = healthy and not any(row["vouches_cpus"] for row in nodes)
    use = Use(
        time=BEGIN + 60 * (number + 1),
        cpus=None if is_blank else cpus,
        memory_bytes=memory,
        gpus={job_id: tuple(of) for job_id, of in shown.items()},
        healthy_nodes=healthy,
        gpu_nodes=frozenset(row["node"] for row in nodes if row["vouches_gpus"]),
    )
    power = {row["node"]: NodePower(**{name: row[name] for name in _OF_NODE}) for row in nodes}
    return PowerWindow(BEGIN + 60 * number, BEGIN + 60 * (number + 1), use, power, boards)


def _values(rows: list[Row], name: str) -> dict[int, dict[str, float]]:
    values: dict[int, dict[str, float]] = {}
    for row in rows:
        if row[name] is not None:
            values.setdefault(row["job_id"], {})[row["node"]] = row[name]
    return values


def run_rows(ledger: Ledger) -> dict[int, dict[str, Any]]:
    """Give the totals of runs as RUN_TOTALS has them: without a measurement there are no joules, GPUs' either."""
    rows = {}
    for run_id, run in ledger.runs.items():
        row = {name: getattr(run, name) for name in run.__slots__ if name not in ("host_joules", "meters", "cost")}
        row |= {f"{meter}_seconds": run.meters.get(meter) for meter in METERS}
        row |= {f"{model}_joules": run.host_joules.get(model) for model in MODELS}
        rows[run_id] = row | {"gpu_joules": run.gpu_joules if run.host_joules else None}
    return rows


def cost_rows(costs: Mapping[Any, Mapping[tuple[str, str], float]]) -> dict[Any, dict[str, float | None]]:
    """Give costs by (key…, currency) as RUN_COSTS and USER_COSTS have them."""
    rows: dict[Any, dict[str, float | None]] = {}
    for key, of in costs.items():
        for (component, currency), amount in of.items():
            whose = (*(key if isinstance(key, tuple) else (key,)), currency)
            rows.setdefault(whose, {f"{name}_cost": None for name in COST_COMPONENTS})[f"{component}_cost"] = amount
    return rows


def user_rows(ledger: Ledger) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        key: {"until": totals.until, "joules": totals.joules, "co2_grams": totals.co2_grams}
        for key, totals in ledger.users.items()
    }


def node_rows(ledger: Ledger) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "until": node.until, **{f"{component}_joules": joules for component, joules in node.joules.items()},
            "power_seconds": node.power_seconds, "fallback_seconds": node.fallback_seconds, "meter": node.meter,
        }
        for name, node in ledger.nodes.items()
    }  # fmt: skip


def run_power_rows(power: Power) -> dict[int, dict[str, Any]]:
    return {
        run_id: {
            **{f"{model}_watts": watts for model, watts in (job.host_watts or {}).items()},
            "gpu_watts": job.gpu_watts, "coverage": job.coverage,
        }
        for run_id, job in power.jobs.items()
    }  # fmt: skip


def node_power_rows(power: Power) -> dict[str, dict[str, Any]]:
    return {
        name: {**{f"{part}_watts": watts for part, watts in parts.items()}, "meter": power.meters[name]}
        for name, parts in power.nodes.items()
    }
