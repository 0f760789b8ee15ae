"""`demo`: the whole service over a synthetic cluster in this process."""

import json
import re
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import aggregator
from aggregator import executors
from aggregator.api.access import AREAS
from aggregator.api.keys import ApiSettings
from aggregator.api.origin import own_names
from aggregator.app.ending import end_in_time
from aggregator.app.errors import StartError
from aggregator.app.exported import CloudSources, QuotaSources
from aggregator.app.http import listen
from aggregator.app.schedule import Timing
from aggregator.app.service import Service
from aggregator.app.site import ClusterSources, FilesystemSources, Site
from aggregator.app.watch import watch
from aggregator.config import Bounds, ListenAddress, State, active_rules, load_rules
from aggregator.join.waste import Judge
from aggregator.model.cloud import IdleRule
from aggregator.model.decay import Decay
from aggregator.model.energy import Prices
from aggregator.model.software import Software
from aggregator.sources.synthetic import (
    LOGIN_NODE,
    PAST_SECONDS,
    SyntheticAccounting,
    SyntheticAllocations,
    SyntheticAround,
    SyntheticCloud,
    SyntheticCluster,
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
)
from aggregator.state import StateStore

INTERVAL_SECONDS = 5.0
# About two seconds at the start.
_REPLAY_SECONDS = 16 * 3600.0
# Made up, as everything here: the carbon of a grid of hydro and gas, and prices in the order of a real site's.
PRICES = Prices(
    pue=1.15, grams_per_kwh=30.0, currency="CAD", per_kwh=0.0416, cooling_share=0.25, cpu_hour=0.003,
    gpu_hour={"default": 0.35},
)  # fmt: skip
_SOFTWARE = tuple(
    Software(name, re.compile(pattern))
    for name, pattern in {"GROMACS": "/gromacs", "Python": "/python", "R": "/R", "VASP": "/vasp", "WRF": "/wrf"}.items()
)
# Who tries a front end on it asks for everything at once, and harms nobody.
_BOUNDS = Bounds(requests_per_second=1000, burst=10_000)
# Enough for the rules that ask for two hours of idle GPUs; each hour is a second of work.
TIMING = Timing(interval=INTERVAL_SECONDS, prices=PRICES, backfill=2.5 * 3600.0)


@asynccontextmanager
async def open_synthetic_site(seed: int, start: float, since: float | None = None) -> AsyncIterator[Site]:
    """Make the sources of the synthetic site: a cluster, file systems with and without HSM, homes and a cloud."""
    cluster = SyntheticCluster(seed=seed, start=start, since=since)
    sources = ClusterSources(
        SyntheticAccounting(cluster),
        SyntheticUse(cluster),
        power=SyntheticPower(cluster),
        history=SyntheticHistory(cluster),
        around=SyntheticAround(cluster),
        usage=SyntheticUsage(cluster),
        series=SyntheticSeries(cluster),
        decay=Decay(),
        lustre=SyntheticLustre(cluster),
        scheduler=SyntheticScheduler(cluster),
        hosts=SyntheticHosts(cluster),
        kinds={LOGIN_NODE: "login"},
    )
    rule, quotas = IdleRule(), SyntheticQuotas(cluster)
    cloud = SyntheticCloud(cluster, rule)
    homes = QuotaSources(counts=quotas, source="gpfs", of_users=True, series=quotas)
    yield Site(
        {cluster.name: sources},
        {
            **{
                name: FilesystemSources(SyntheticStorage(cluster, name), INTERVAL_SECONDS, hsm=hsm, has_quotas=True)
                for name, hsm in (("project", True), ("scratch", False))
            },
            "home": FilesystemSources(None, INTERVAL_SECONDS, hsm=False, has_quotas=False, quotas=homes),
        },
        SyntheticAllocations(cluster),
        {"demo-cloud": CloudSources(use=cloud, interval=INTERVAL_SECONDS, rule=rule, series=cloud)},
    )


async def demo(addresses: Sequence[ListenAddress], seed: int, folder: Path) -> None:
    """Serve the synthetic site until SIGTERM or SIGINT, with its state in a folder, and say what to open.

    Raises StartError.
    """
    if open_to_all := [address for address in addresses if not address.is_loopback]:
        raise StartError(f"--web.listen-address: the demo listens on loopback only, got {open_to_all[0]}")
    executors.start_threads()
    service = Service(StateStore(State.model_validate({"url": f"sqlite:///{folder}/state.db"})))
    settings = ApiSettings(
        external_url="", stale_after=300.0, version=aggregator.__version__, open_areas=AREAS, reload=_nothing_to_reload,
        software=_SOFTWARE, hosts=own_names("", (), ()), bounds=_BOUNDS,
    )  # fmt: skip
    async with listen(service, settings, addresses) as ended:
        end_in_time()
        start = time.time()
        since = running_since(folder, seed, start)
        timing = replace(TIMING, judge=Judge(active_rules(load_rules())))
        await service.start(lambda: open_synthetic_site(seed, start, since), timing)
        print(_welcome(addresses[0]), file=sys.stderr, flush=True)
        async with watch(service):
            await ended.wait()


def running_since(folder: Path, seed: int, now: float) -> float:
    """Tell since when the cluster runs: after a restart with the same state it is the same cluster, with all its jobs.

    One that began too long ago to be played again begins anew, with other job ids.
    """
    file = folder / "demo.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(file.read_text(encoding="utf-8"))
        since = float(kept["since"])
        if kept["seed"] == seed and since <= now <= since + _REPLAY_SECONDS:
            return since
    since = now - PAST_SECONDS
    file.write_text(json.dumps({"seed": seed, "since": since}), encoding="utf-8")
    return since


async def _nothing_to_reload() -> str | None:
    return "the demo has no configuration file"


def _welcome(address: ListenAddress) -> str:
    base = f"http://{address}"
    return "\n".join(
        (
            f"hpc-aggregator {aggregator.__version__} demo: a synthetic site, refreshed every {INTERVAL_SECONDS:g} s",
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
