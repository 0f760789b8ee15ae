"""A site with all exporters, both kinds of file systems, quotas, a cloud, awards, limits and usage."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from typing import Any

import yaml

from tests.differential.bench import INTERVAL
from tests.differential.inputs.recording import UIDS, record
from tests.lab.behaviours import GIB, MIB, Behaviour
from tests.lab.databases import HSM, PLAIN, load_robinhood
from tests.lab.feed import NodeShare, RunningJob
from tests.lab.simulators import LOGIN, Fault, Simulators
from tests.scenarios.site import Row, Site

_NODES = ("node01", "node02", "node07", "node10")
# When exporters are scraped, and when a cloud's are, which is read as often: in quarters of a second after the zero.
_SCRAPES, _OF_CLOUD = range(-4800, 301, 120), range(-600, 301)
# When a node's exporter of jobs fails.
_DOWN = range(-1600, -1000)
_EXPORTERS = (
    "slurm_job_exporter", "redfish_exporter", "node_exporter", "lustre_exporter", "lustre_exporter_slurm",
    "slurm_exporter", "pcm_sensor_server", "lfs_quota_exporter", "gpfs_exporter",
)  # fmt: skip
_QUOTAS: dict[str, dict[str, Any]] = {
    "scratch": {"source": "lfs_quota", "path": "/lustre07/scratch/", "of": "user"},
    "oldproject": {"source": "lfs_quota", "path": "/lustre02/project/"},
    "home": {"source": "gpfs", "of": "user"},
    "essproject": {"source": "gpfs", "filesystem": "project"},
    "filesets": {"source": "gpfs", "filesystem": "project", "of": "fileset"},
}
_ALLOCATIONS: dict[str, Any] = {
    "accounts": {"phys": {"cpus": 50, "gpus": 4}, "chem": {"cpus": 200}},
    "storage": {
        "project": {"def-amartin": {"bytes": "10GB", "inodes": 5000}, "rrg-btremblay": {"bytes": "60TB"}},
        "oldproject": {"def-kim": {"bytes": "1TB", "inodes": 1000000, "users": ["amartin"]}},
    },
    "cloud": {"stack": {"def-kim-dev": {"users": ["amartin", "btremblay"]}}},
}
_ENERGY: dict[str, Any] = {
    "window": "60s", "backfill": "15m", "pue": 1.2, "co2": {"static_g_per_kwh": 30, "zone": "CA-QC"},
    "tariff": {"currency": "CAD", "per_kwh": 0.05, "cooling_share": 0.25, "cpu_hour": 0.01, "gpu_hour": {"default": 1}},
    "node_classes": {"all": {"nodes": "node[01-10]", "idle_watts": 200}},
}  # fmt: skip
_RULES: dict[str, Any] = {
    "gpu_unused": {
        "minimum_runtime": "10s",
        "warning": [{"field": "gpu_idle_seconds", "operator": ">=", "threshold": "10s"}],
    },
    "idle": {
        "resource": "cpu", "message": "It is idle.", "minimum_runtime": "1s",
        "warning": [{"field": "cpu_used_ratio", "operator": "<", "threshold": 0.5}],
    },
}  # fmt: skip


@dataclass(frozen=True)
class _Job:
    """A run: node → (its first CPU, CPUs, GPUs); times are seconds before the samples' zero."""

    job_id: int
    user: str
    nodes: dict[str, tuple[int, int, int]]
    start: float = -900.0
    end: float = inf
    behaviour: Behaviour = field(default_factory=Behaviour)
    row: Row = field(default_factory=dict)


# Of a user: the account, and the association.
_OWNERS = {"ann": ("phys", 10), "ben": ("phys", 11), "cora": ("chem", 12)}
_BUSY = Behaviour(cpu=0.6, gpu=(95.0, 85.0), gpu_memory=30 * GIB)
_JOBS = (
    _Job(500, "ann", {"node01": (0, 8, 0)}, behaviour=Behaviour(cpu=0.9, rss_per_cpu=1000 * MIB)),
    _Job(501, "ann", {"node01": (8, 8, 0), "node02": (0, 8, 0)}, -800.0, behaviour=Behaviour(cpu=0.75)),
    _Job(502, "ben", {"node07": (0, 8, 2)}, -850.0, behaviour=_BUSY),
    _Job(503, "cora", {"node07": (8, 4, 1)}, -700.0, behaviour=Behaviour(cpu=0.25, gpu=(0.0,))),
    _Job(504, "cora", {"node07": (12, 4, 1)}, -600.0, behaviour=Behaviour(cpu=0.02)),
    _Job(505, "cora", {"node10": (0, 32, 0)}, -650.0, behaviour=Behaviour(cpu=0.01, rss_per_cpu=50 * MIB)),
    _Job(506, "ben", {"node02": (8, 4, 0)}, -500.0, behaviour=Behaviour(processes=False)),
    _Job(507, "ben", {"node02": (12, 4, 0)}, -880.0, -300.0),
    _Job(508, "ann", {"node02": (16, 4, 0)}, -45.0, row={"job_name": 'a "b" \\ {c}\n\U0001f680'}),
    _Job(509, "ann", {"node02": (20, 2, 0)}, -450.0, row={"id_array_job": 509, "id_array_task": 3}),
    _Job(510, "ben", {"node02": (22, 2, 0)}, -450.0, row={"het_job_id": 510, "het_job_offset": 0}),
    _Job(511, "ben", {"node02": (24, 2, 0)}, -620.0, -350.0, row={"state": 1024}),
    _Job(511, "ben", {"node02": (24, 2, 0)}, -320.0),
    _Job(512, "cora", {"node02": (26, 2, 0)}, -640.0, row={"state": 2, "time_suspended": 0}),
)


def fill(site: Site) -> None:
    """Write rows and series."""
    for job in _JOBS:
        site.job(job.job_id, started=job.start, ended=None if job.end == inf else job.end, **_columns(job))
    pending(site, 513)
    _limit(site)
    _roll_up(site)
    load_robinhood(site.mariadb)
    section = site.settings["slurmacct"]
    for database in (HSM, PLAIN):
        site.mariadb.execute(f"GRANT SELECT ON `{database}`.* TO '{section['user']}'@'{section['host']}'")
    zero = site.samples.zero
    site.samples.series = record(
        site.cluster, [zero + offset / 4 for offset in sorted({*_SCRAPES, *_OF_CLOUD})],
        lambda at: _running(at - zero, zero),
        _prepare(zero), _NODES,
        lambda job, at: round(4 * (at - zero)) in (_OF_CLOUD if job == "libvirtd" else _SCRAPES),
    )  # fmt: skip
    site.samples.write(site.servers.prometheus.url)


def pending(site: Site, job_id: int) -> None:
    """Add a job that waits."""
    site.job(job_id, state=0, time_start=0, nodelist="None assigned", tres_alloc="", partition="cpu,gpu")


def config(site: Site) -> dict[str, Any]:
    """Give the configuration, and write the files that it names."""
    for name, content in (("allocations.yml", _ALLOCATIONS), ("waste.yml", {"rules": _RULES})):
        (site.root / name).write_text(yaml.safe_dump(content))
    section = site.settings["slurmacct"]
    prometheus = {**site.settings["prometheus"], "timeout": "10m"}
    robinhood = {
        name: {"robinhood": {**section, "database": database}, "hsm": database == HSM, "interval": INTERVAL,
               "quota": {"source": "allocations"}}
        for name, database in (("project", HSM), ("plain", PLAIN))
    }  # fmt: skip
    quotas = {name: {"cluster": site.cluster, "interval": INTERVAL, "quota": quota} for name, quota in _QUOTAS.items()}
    cluster = {
        "slurmacct": {**section, "priority": {"decay_half_life": "7d"}, "timezone": "UTC"},
        "prometheus": prometheus,
        "exporters": {name: {"interval": "30s"} for name in _EXPORTERS},
        "nodes": {"login_nodes": LOGIN},
    }
    return {
        "refresh": {"stale_after": "60s"},
        "clusters": {site.cluster: cluster},
        "filesystems": {**robinhood, **quotas},
        "cloud": {"stack": {"prometheus": prometheus, "interval": "250ms", "idle": {"duration": "1m"}}},
        "allocations": {"file": str(site.root / "allocations.yml")},
        "energy": _ENERGY,
        "usage": {"fiscal_year_start": "04-01"},
        "waste": {"rules_file": str(site.root / "waste.yml")},
    }


def _columns(job: _Job) -> Row:
    cpus, gpus = (sum(place[index] for place in job.nodes.values()) for index in (1, 2))
    account, association = _OWNERS[job.user]
    tres = f"1={cpus},2={cpus * 2000},4={len(job.nodes)},5={cpus}"
    return {
        "id_assoc": association, "id_user": UIDS[job.user], "account": account, "cpus_req": cpus,
        "nodes_alloc": len(job.nodes), "nodelist": ",".join(job.nodes), "partition": "gpu" if gpus else "cpu",
        "tres_alloc": tres + (f",1001={gpus},1002={gpus}" if gpus else ""),
        "tres_req": tres + (f",1001={gpus}" if gpus else ""), **job.row,
    }  # fmt: skip


def _running(offset: float, zero: float) -> list[RunningJob]:
    """List what runs at a time, as slurmctld would say it."""
    return [
        RunningJob(
            job.job_id, job.job_id, job.user, _OWNERS[job.user][0], zero + job.start,
            {
                node: NodeShare(tuple(range(first, first + cpus)), cpus * 2000 * MIB, gpus)
                for node, (first, cpus, gpus) in job.nodes.items()
            },
        )
        for job in _JOBS
        if job.start <= offset < job.end
    ]  # fmt: skip


def _prepare(zero: float) -> Callable[[Simulators, float], None]:
    behaviours = {job.job_id: job.behaviour for job in _JOBS}

    def prepare(simulators: Simulators, at: float) -> None:
        simulators.behaviours = behaviours
        simulators.set_fault("node02", Fault.DOWN, round(4 * (at - zero)) in _DOWN)

    return prepare


def _limit(site: Site) -> None:
    """Set limits and shares of associations and of a QOS."""
    table = f"`{site.cluster}_assoc_table`"
    site.execute(
        f"UPDATE {table} SET shares=10, grp_tres='1=100,1001=8', grp_jobs=20, grp_submit_jobs=50, grp_wall=100000,"
        " grp_tres_mins='1=100000,1001=5000', grp_tres_run_mins='1=20000' WHERE acct='phys' AND user=''"
    )
    site.execute(
        f"UPDATE {table} SET shares=3, max_jobs=5, max_submit_jobs=9, max_tres_pj='1=64' WHERE user IN ('ann', 'cora')"
    )
    site.execute("UPDATE qos_table SET max_tres_pu='1=40', max_jobs_per_user=6, grp_tres='1=200', max_tres_pa='1001=4'")


def _roll_up(site: Site) -> None:
    """Write what slurmdbd has summed up of three days, by hour, day and month, up to the hour that has ended."""
    hour = int(site.samples.zero - 120) // 3600 * 3600
    day = hour // 86_400 * 86_400
    month = int(datetime.fromtimestamp(hour, UTC).replace(day=1, hour=0).timestamp())
    tables = {"hour": range(day - 3 * 86_400, hour, 3600), "day": range(day - 3 * 86_400, day, 86_400)}
    for resolution, starts in tables.items():
        length = starts.step
        places = [(start, tres) for start in starts for tres in (1, 2, 4, 5, 1001)]
        _insert_many(
            site, f"{site.cluster}_assoc_usage_{resolution}_table",
            [
                {"creation_time": start, "mod_time": start, "deleted": 0, "id": association, "id_tres": tres,
                 "time_start": start, "alloc_secs": length * association * tres // 7}
                for start, tres in places for association in (10, 11, 12)
            ],
        )  # fmt: skip
        _insert_many(
            site, f"{site.cluster}_usage_{resolution}_table",
            [
                {"creation_time": start, "mod_time": start, "deleted": 0, "id_tres": tres, "time_start": start,
                 "count": 640, "alloc_secs": length * 300, "down_secs": length * 10, "pdown_secs": length,
                 "idle_secs": length * 300, "plan_secs": length * 20, "over_secs": length * 9}
                for start, tres in places
            ],
        )  # fmt: skip
    rolled = {"hourly_rollup": hour, "daily_rollup": day, "monthly_rollup": month}
    _insert_many(site, f"{site.cluster}_last_ran_table", [rolled])


def _insert_many(site: Site, table: str, rows: Sequence[Row]) -> None:
    columns, places = ", ".join(f"`{name}`" for name in rows[0]), ", ".join(["%s"] * len(rows[0]))
    with closing(site.mariadb.connect(site.database)) as connection, connection.cursor() as cursor:
        sql = f"INSERT INTO `{table}` ({columns}) VALUES ({places})"
        cursor.executemany(sql, [tuple(row.values()) for row in rows])
