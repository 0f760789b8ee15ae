"""The sources of a synthetic cluster, in place of slurmacct, Prometheus, Robinhood and the allocations file."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import polars as pl

from aggregator import executors
from aggregator.model.accounting import Run
from aggregator.model.job_inputs import GPUS, NO_RUNS, OF_NODES, Accounting, Runs, Use, runs_of
from aggregator.model.jobid import JobId
from aggregator.model.script import RecordedScript
from aggregator.model.storage import ENTRIES, Allocations, FilesystemUsage
from aggregator.sources.prometheus import ExporterSettings, NodeNames
from aggregator.sources.prometheus.asking import inputs_of_jobs
from aggregator.sources.prometheus.catalogue import PROVIDERS
from aggregator.sources.slurmacct.statements import question
from aggregator.synthetic.associations import in_frames
from aggregator.synthetic.cluster import SyntheticCluster
from aggregator.synthetic.exporters import Exporters
from aggregator.synthetic.liverun import LiveRun
from aggregator.synthetic.script import write_script
from aggregator.synthetic.storage import entries_of, make_owners, synthetic_allocations
from aggregator.synthetic.use import Columns, gpus_of

ENDED_SECONDS = 900.0
_INTERVAL = 30.0
_EXPORTER = "slurm_job_exporter"
_DAY = 86400.0


class SyntheticAccounting:
    """The runs of a synthetic cluster, as slurmacct would give them."""

    name = "slurmacct"

    def __init__(self, cluster: SyntheticCluster) -> None:
        self._cluster = cluster
        self._nodes = tuple(node.name for node in cluster.nodes)
        self._shown: Mapping[int, Run] = {}
        self._runs = NO_RUNS
        self._associations = in_frames(cluster.population, cluster.associations, cluster.qos)
        self.rows = 0
        self.features: Mapping[str, bool] = {"gpus": True}

    async def fetch(self, at: float) -> Accounting:
        """Give the open runs and those ended in the last quarter of an hour."""
        await self._cluster.reach(at)
        found = (*self._cluster.open_runs(), *self._cluster.ended_runs(at - ENDED_SECONDS))
        self._shown, self._runs = await executors.run(executors.REFRESH, self._changed, found)
        self.rows = len(found)
        asked = {self.name: (question(f"`{self._cluster.name}_job_table`", at),)}
        return Accounting(at, self._runs, self._associations, self._nodes, questions=asked)

    def _changed(self, found: Sequence[Run]) -> tuple[Mapping[int, Run], Runs]:
        """Give runs by their ids and as columns, of which those are made that are new or not as they were."""
        shown = {run.run_id: run for run in found}
        changed = runs_of(run for run_id, run in shown.items() if self._shown.get(run_id) is not run)
        return shown, self._runs.with_changes(changed, self._shown.keys() - shown.keys())

    async def ended_since(self, since: float) -> Runs:
        """Give the runs that ended at or after `since`, at most a day back."""
        return await executors.run(executors.REFRESH, runs_of, self._cluster.ended_runs(since))

    async def runs_of(self, asked: JobId) -> tuple[Run, ...]:
        """Find the runs that are meant by an id, ended ones up to a day back."""
        return tuple(run for run in self._cluster.runs_of(asked.job_id) if run.is_meant_by(asked))

    async def script_of(self, run: Run) -> RecordedScript:
        """Write the script that the run's kind of job would have."""
        return RecordedScript(write_script(run).encode())


class SyntheticUse:
    """The use of a synthetic cluster's jobs, as Prometheus would give it; some nodes' exporters are down."""

    name = "prometheus"

    def __init__(self, cluster: SyntheticCluster) -> None:
        self._cluster = cluster
        self._exporters = Exporters(cluster)
        # What a site with such a cluster would be asked.
        provides, matchers = PROVIDERS[_EXPORTER], {"cluster": cluster.name}
        self._inputs = dict(inputs_of_jobs(_EXPORTER, provides, matchers, ExporterSettings(), NodeNames()))
        self._nodes = frozenset(node.name for node in cluster.nodes)
        self.rows = 0
        self.features: Mapping[str, bool] = {"gpus": True, "memory_peak": True}

    async def fetch(self, at: float) -> Use:
        """Compute the series that are there at `at`, off the event loop."""
        await self._cluster.reach(at)
        silent = self._exporters.silent(at)
        use = await executors.run(executors.REFRESH, self._use, at, self._cluster.live(), silent)
        self.rows = _count_samples(use)
        return use

    def _use(self, at: float, lives: Sequence[LiveRun], silent: frozenset[str]) -> Use:
        # Others are not scraped yet.
        lives = [live for live in lives if at - (live.run.start or at) >= _INTERVAL]
        columns = Columns(lives)
        resident, peak = columns.memory_bytes(at)
        found = columns.frame(
            silent, cpus=columns.cpus(at), cpu_seconds=columns.cpu_seconds(at), memory_bytes=resident,
            memory_peak_bytes=peak, threads=columns.threads(),
        )  # fmt: skip
        gpus = gpus_of(lives, at).filter(~pl.col("node").is_in(list(silent)))
        return Use(
            time=at,
            interval=_INTERVAL,
            values={name: found.select("job_id", "node", value=name) for name in OF_NODES if name in found.columns},
            gpus=gpus.select(GPUS.names()),
            healthy_nodes=self._nodes - silent,
            gpu_nodes=self._nodes,
            questions={name: (each.question(at),) for name, each in self._inputs.items()},
        )


class SyntheticStorage:
    """One file system of a synthetic cluster, as Robinhood would give it: `project` has HSM, `scratch` has not."""

    name = "robinhood"

    def __init__(self, cluster: SyntheticCluster, filesystem: str = "project") -> None:
        self._cluster = cluster
        self._filesystem = filesystem
        self._hsm = filesystem == "project"
        self._owners = make_owners(cluster, filesystem)
        self._updated = 0.0
        self._entries = pl.DataFrame(schema=ENTRIES)
        self.rows = 0
        self.features: Mapping[str, bool] = {"hsm": self._hsm}

    async def fetch(self, at: float) -> FilesystemUsage:
        """Give all owners' rows as of the last five minutes; a scan runs in the first hour of each day."""
        updated = at - at % 300
        if updated != self._updated:
            days = max(0.0, updated - self._cluster.epoch) / _DAY
            self._entries, self._updated = entries_of(self._owners, self._hsm, days), updated
        self.rows = len(self._entries)
        return FilesystemUsage(
            filesystem=self._filesystem, time=at, entries=self._entries, updated=updated, scan_running=at % _DAY < 3600,
            path=f"/{self._filesystem}",
        )  # fmt: skip


def _count_samples(use: Use) -> int:
    return sum(map(len, use.values.values())) + (0 if use.gpus is None else len(use.gpus))


class SyntheticAllocations:
    """The quotas and awards of a synthetic cluster, as an allocations file would give them."""

    name = "allocations"

    def __init__(self, cluster: SyntheticCluster) -> None:
        self._allocations = synthetic_allocations(cluster)
        self.rows = sum(map(len, self._allocations.quotas.values())) + len(self._allocations.awards)
        self.features: Mapping[str, bool] = {}

    async def fetch(self, at: float) -> Allocations:
        """Give the allocations, which never change."""
        return replace(self._allocations, time=at)
