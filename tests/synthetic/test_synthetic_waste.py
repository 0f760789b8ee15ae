"""The synthetic cluster wastes in every way that the shipped rules know, and nobody who works well is accused."""

from collections import defaultdict

import polars as pl

from aggregator.config import active_rules, load_rules
from aggregator.parts.owners.sums import HOLDS
from aggregator.synthetic import SyntheticAccounting, SyntheticCluster, SyntheticUse
from aggregator.synthetic.scheduler import LiveRun
from tests.clusters import Row, join_cluster, make_energy

START = 1_800_000_900.0
HEALTHY = START - START % 1800 + 1200


def ledger_of(live: LiveRun) -> Row:
    """Add up a run's GPUs from its start: each is as its behaviour says all the time."""
    behaviour, start = live.profile.behaviour, live.run.start or HEALTHY
    held, seconds = live.run.allocated.gpu_count, HEALTHY - start
    busy = 0 if behaviour.gpu is None else held if behaviour.busy_gpus is None else behaviour.busy_gpus
    return {
        "run_id": live.run.run_id, "since": start, "until": HEALTHY, "gpu_seconds": held * seconds,
        "gpu_used_seconds": busy * (behaviour.gpu or 0.0) * seconds, "gpu_idle_seconds": 0.0 if busy else seconds,
        "gpu_partly_idle_seconds": 0.0 if busy == held else seconds,
    }  # fmt: skip


async def findings_by_behaviour() -> dict[str, set[str]]:
    """Give the reasons that were found of the jobs of each behaviour which are an hour old."""
    cluster = SyntheticCluster(start=START)
    accounting = await SyntheticAccounting(cluster).fetch(HEALTHY)
    use = await SyntheticUse(cluster).fetch(HEALTHY)
    live = {live.run.run_id: live for live in cluster.live()}
    ledger = make_energy(*(ledger_of(each) for each in live.values() if each.shape.gpus))
    frames = join_cluster(accounting.runs, use, ledger, rules=active_rules(load_rules()), at=HEALTHY)
    reasons: dict[str, set[str]] = defaultdict(set)
    for run_id in frames["jobs"].filter(HOLDS & (pl.col("elapsed_seconds") > 3600))["run_id"]:
        found = frames["waste"].filter(pl.col("run_id") == run_id)["reason"]
        reasons[live[run_id].profile.behaviour.name] |= set(found)
    return reasons


async def test_every_shipped_rule_shows_and_good_jobs_are_left_alone() -> None:
    assert await findings_by_behaviour() == {
        "efficient": set(),
        "serial": set(),
        "gpu_efficient": set(),
        "one_core": {"cpu_serial"},
        "one_node": {"cpu_low"},
        "idle_session": {"cpu_serial"},
        "transfer": {"cpu_low"},
        "memory_overrequested": {"memory_overrequested"},
        "gpu_unseen": {"gpu_unused"},
        "gpu_low": {"gpu_low_utilization"},
        "gpu_one_of_four": {"gpu_partly_unused"},
    }
