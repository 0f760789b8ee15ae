"""`demo`: the whole service over a synthetic cluster in this process."""

import json
import re
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aggregator
from aggregator import executors
from aggregator.api.access import AREAS
from aggregator.api.keys import ApiSettings, Origins, Upkeep
from aggregator.api.origin import own_names
from aggregator.app.ending import end_in_time
from aggregator.app.errors import StartError
from aggregator.app.exported import CloudSources, QuotaSources
from aggregator.app.http import listen
from aggregator.app.lists import lists_of
from aggregator.app.schedule import Timing
from aggregator.app.service import Service
from aggregator.app.site import ClusterSources, FilesystemSources, LustreSources, Site
from aggregator.app.watch import watch
from aggregator.config import Bounds, ListenAddress, State, active_rules, load_rules
from aggregator.model.cloud import IdleRule
from aggregator.model.decay import Decay
from aggregator.model.energy import Prices
from aggregator.model.software import Software
from aggregator.parts.waste.rules import compile_rules
from aggregator.queries.readers import Readers
from aggregator.state import StateStore
from aggregator.synthetic import (
    LOGIN_NODE,
    SyntheticAccounting,
    SyntheticAllocations,
    SyntheticCloud,
    SyntheticCluster,
    SyntheticDetails,
    SyntheticHistory,
    SyntheticHosts,
    SyntheticLustre,
    SyntheticPower,
    SyntheticQuotas,
    SyntheticScheduler,
    SyntheticSeries,
    SyntheticStorage,
    SyntheticUsage,
    SyntheticUse,
    past_seconds,
    past_share,
)

# A refresh of a large site takes seconds.
_INTERVAL_SECONDS, _INTERVAL_OF_LARGE_SITES, _LARGE_SITE_JOBS = 5.0, 30.0, 5000
# About two seconds at the start.
_REPLAY_SECONDS = 16 * 3600.0
# Made up, as everything here: the carbon of a grid of hydro and gas, and prices in the order of a real site's.
PRICES = Prices(
    pue=1.15, grams_per_kwh=30.0, currency="CAD", per_kwh=0.0416, cooling_share=0.25, cpu_hour=0.003,
    gpu_hour={"default": 0.35},
)  # fmt: skip
GPU_UNITS = {"a100": 4.0, "h100": 12.0}
_SOFTWARE = tuple(
    Software(name, re.compile(pattern))
    for name, pattern in {"GROMACS": "/gromacs", "Python": "/python", "R": "/R", "VASP": "/vasp", "WRF": "/wrf"}.items()
)
# Who tries a front end on it asks for everything at once, and harms nobody.
_BOUNDS = Bounds(requests_per_second=1000, burst=10_000)
# Enough for the rules that ask for two hours of idle GPUs; each hour is a second of work.
_BACKFILL_SECONDS = 2.5 * 3600.0


@asynccontextmanager
async def open_synthetic_site(seed: int, jobs: int, start: float, since: float | None = None) -> AsyncIterator[Site]:
    """Make the synthetic site, off the event loop: a large one takes seconds."""
    yield await executors.run(executors.REFRESH, make_synthetic_site, seed, jobs, start, since)


def make_synthetic_site(seed: int, jobs: int, start: float, since: float | None) -> Site:
    """Make the sources of the synthetic site: a cluster, file systems with and without HSM, homes and a cloud."""
    cluster = SyntheticCluster(seed=seed, running=jobs, start=start, since=since)
    interval = interval_of(jobs)
    accounting = SyntheticAccounting(cluster)
    sources = ClusterSources(
        accounting,
        Readers(
            accounting,
            history=SyntheticHistory(cluster),
            details=SyntheticDetails(cluster),
            usage=SyntheticUsage(cluster),
            series=SyntheticSeries(cluster),
        ),
        use=SyntheticUse(cluster),
        power=SyntheticPower(cluster),
        lustre=LustreSources(SyntheticLustre(cluster)),
        decay=Decay(),
        inputs=(SyntheticScheduler(cluster), SyntheticHosts(cluster)),
        kinds={LOGIN_NODE: "login"},
    )
    rule, quotas = IdleRule(), SyntheticQuotas(cluster)
    cloud = SyntheticCloud(cluster, rule)
    homes = QuotaSources(counts=quotas, has_limits=True, series=quotas)
    return Site(
        {cluster.name: sources},
        {
            **{
                name: FilesystemSources(SyntheticStorage(cluster, name), interval, hsm=hsm, has_quotas=True)
                for name, hsm in (("project", True), ("scratch", False))
            },
            "home": FilesystemSources(None, interval, hsm=False, has_quotas=False, quotas=homes),
        },
        SyntheticAllocations(cluster),
        {"demo-cloud": CloudSources(use=cloud, interval=interval, rule=rule, series=cloud)},
    )


def interval_of(jobs: int) -> float:
    """Give the seconds between two refreshes of a site with so many running jobs."""
    return _INTERVAL_SECONDS if jobs <= _LARGE_SITE_JOBS else _INTERVAL_OF_LARGE_SITES


def timing_of(jobs: int) -> Timing:
    """Give the times, rules and prices of a site with so many running jobs."""
    return Timing(
        interval=interval_of(jobs), prices=PRICES, gpu_units=GPU_UNITS, backfill=_BACKFILL_SECONDS * past_share(jobs),
        rules=compile_rules(active_rules(load_rules())),
    )  # fmt: skip


async def demo(addresses: Sequence[ListenAddress], seed: int, jobs: int, folder: Path) -> None:
    """Serve the synthetic site until SIGTERM or SIGINT, with its state in a folder, and say what to open.

    Raises StartError.
    """
    if open_to_all := [address for address in addresses if not address.is_loopback]:
        raise StartError(f"--web.listen-address: the demo listens on loopback only, got {open_to_all[0]}")
    executors.start_threads()
    service = Service(StateStore(State.model_validate({"url": f"sqlite:///{folder}/state.db"})))
    settings = ApiSettings(
        external_url="", stale_after=300.0, version=aggregator.__version__, open_areas=AREAS,
        upkeep=Upkeep(reload=_nothing_to_reload), origins=Origins(hosts=own_names("", (), ())), software=_SOFTWARE,
        bounds=_BOUNDS,
    )  # fmt: skip
    async with listen(service, settings, addresses, lists=lists_of(service.clusters)) as ended:
        end_in_time()
        start = time.time()
        since = running_since(folder, seed, jobs, start)
        timing = timing_of(jobs)
        await service.start(lambda: open_synthetic_site(seed, jobs, start, since), timing)
        print(_welcome(addresses[0], timing.interval), file=sys.stderr, flush=True)
        async with watch(service):
            await ended.wait()


def running_since(folder: Path, seed: int, jobs: int, now: float) -> float:
    """Tell since when the cluster runs: after a restart with the same state it is the same cluster, with all its jobs.

    One that began too long ago to be played again begins anew, with other job ids.
    """
    file = folder / "demo.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(file.read_text(encoding="utf-8"))
        since = float(kept["since"])
        same = (kept["seed"], kept["jobs"]) == (seed, jobs)
        if same and since <= now <= since + _REPLAY_SECONDS * past_share(jobs):
            return since
    since = now - past_seconds(jobs)
    file.write_text(json.dumps({"seed": seed, "jobs": jobs, "since": since}), encoding="utf-8")
    return since


async def _nothing_to_reload() -> str | None:
    return "the demo has no configuration file"


def _welcome(address: ListenAddress, interval: float) -> str:
    base = f"http://{address}"
    return "\n".join(
        (
            f"hpc-aggregator {aggregator.__version__} demo: a synthetic site, refreshed every {interval:g} s",
            f"  overview        {base}/",
            f"  gauges          {base}/metrics",
            f"  wasted GPUs     {base}/metrics?collect[]=users",
            f"  power, energy   {base}/metrics?collect[]=nodes",
            f"  running jobs    {base}/api/v1/clusters/demo/jobs?state=running",
            f"  wasteful jobs   {base}/api/v1/clusters/demo/jobs?severity=critical",
            f"  limits          {base}/api/v1/clusters/demo/accounts/def-tremblay",
            f"  nodes           {base}/api/v1/clusters/demo/nodes",
            f"  usage           {base}/api/v1/clusters/demo/usage?start=now-30d&resolution=day",
            f"  storage         {base}/api/v1/storage/project",
            f"  quotas          {base}/api/v1/storage/home/users",
            f"  cloud           {base}/api/v1/cloud/projects",
            f"  sources         {base}/api/v1/status",
            "  Ctrl-C ends it.",
        )
    )
