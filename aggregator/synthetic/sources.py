"""The sources of a synthetic cluster, in place of slurmacct, Prometheus, Robinhood and the allocations file."""

from collections.abc import Mapping
from dataclasses import replace

from aggregator.model.accounting import Accounting, Run
from aggregator.model.jobid import JobId
from aggregator.model.script import RecordedScript
from aggregator.model.storage import Allocations, FilesystemUsage
from aggregator.model.use import Gpu, Use
from aggregator.synthetic.cluster import SyntheticCluster
from aggregator.synthetic.exporters import Exporters
from aggregator.synthetic.script import write_script
from aggregator.synthetic.storage import entries_of, make_owners, synthetic_allocations
from aggregator.synthetic.use import gpus_of, node_uses

ENDED_SECONDS = 900.0
_INTERVAL = 30.0
_DAY = 86400.0


class SyntheticAccounting:
    """The runs of a synthetic cluster, as slurmacct would give them."""

    name = "slurmacct"

    def __init__(self, cluster: SyntheticCluster) -> None:
        self._cluster = cluster
        self._nodes = tuple(node.name for node in cluster.nodes)
        self.rows = 0
        self.features: Mapping[str, bool] = {"gpus": True}

    async def fetch(self, at: float) -> Accounting:
        """Give the open runs and those ended in the last quarter of an hour."""
        self._cluster.advance(at)
        runs = (*self._cluster.open_runs(), *self._cluster.ended_runs(at - ENDED_SECONDS))
        self.rows = len(runs)
        population = self._cluster.population
        members = {user.name: frozenset(user.accounts) for user in population.users}
        return Accounting(at, runs, population.accounts, members, self._cluster.associations, self._nodes)

    async def ended_since(self, since: float) -> tuple[Run, ...]:
        """Give the runs that ended at or after `since`, at most a day back."""
        return self._cluster.ended_runs(since)

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
        self.rows = 0
        self.features: Mapping[str, bool] = {"gpus": True, "memory_peak": True}

    async def fetch(self, at: float) -> Use:
        """Compute the series that are there at `at`."""
        self._cluster.advance(at)
        use = self._use(at)
        self.rows = _count_samples(use)
        return use

    def _use(self, at: float) -> Use:
        down = self._exporters.silent(at)
        cpus: dict[int, dict[str, float]] = {}
        seconds: dict[int, dict[str, float]] = {}
        memory: dict[int, dict[str, float]] = {}
        peak: dict[int, dict[str, float]] = {}
        threads: dict[int, dict[str, float]] = {}
        gpus: dict[int, tuple[Gpu, ...]] = {}
        for live in self._cluster.live():
            if live.run.elapsed(at) < _INTERVAL:
                continue  # not scraped yet
            job_id = live.run.job_id
            seen = [use for use in node_uses(live, at) if use.node not in down]
            cpus[job_id] = {use.node: use.cpus for use in seen}
            seconds[job_id] = {use.node: use.cpu_seconds for use in seen}
            memory[job_id] = {use.node: use.memory_bytes for use in seen}
            peak[job_id] = {use.node: use.memory_peak_bytes for use in seen}
            threads[job_id] = {use.node: use.threads for use in seen}
            if found := tuple(gpu for gpu in gpus_of(live, at) if gpu.node not in down):
                gpus[job_id] = found
        return Use(
            time=at, interval=_INTERVAL, cpus=cpus, cpu_seconds=seconds, memory_bytes=memory, memory_peak_bytes=peak,
            threads=threads, gpus=gpus, healthy_nodes=self._exporters.answering(at),
            gpu_nodes=frozenset(node.name for node in self._cluster.nodes),
        )  # fmt: skip


class SyntheticStorage:
    """One file system of a synthetic cluster, as Robinhood would give it: `project` has HSM, `scratch` has not."""

    name = "robinhood"

    def __init__(self, cluster: SyntheticCluster, filesystem: str = "project") -> None:
        self._cluster = cluster
        self._filesystem = filesystem
        self._hsm = filesystem == "project"
        self._owners = make_owners(cluster, filesystem)
        self.rows = 0
        self.features: Mapping[str, bool] = {"hsm": self._hsm}

    async def fetch(self, at: float) -> FilesystemUsage:
        """Give all owners' rows as of the last five minutes; a scan runs in the first hour of each day."""
        updated = at - at % 300
        days = max(0.0, updated - self._cluster.epoch) / _DAY
        entries = entries_of(self._owners, self._hsm, days)
        self.rows = len(entries)
        return FilesystemUsage(
            filesystem=self._filesystem, time=at, entries=entries, updated=updated, scan_running=at % _DAY < 3600,
            path=f"/{self._filesystem}",
        )  # fmt: skip


def _count_samples(use: Use) -> int:
    inputs = (use.cpus, use.cpu_seconds, use.memory_bytes, use.memory_peak_bytes, use.threads, use.gpus)
    return sum(len(values) for samples in inputs for values in (samples or {}).values())


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
