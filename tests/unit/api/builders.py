"""Small runs, jobs and sources, and stand-ins for what the API reads."""

import pickle
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import polars as pl
from aiohttp import web

from aggregator.api.access import AREAS
from aggregator.api.keys import ApiSettings, Upkeep
from aggregator.app.layouts import CLUSTERS
from aggregator.config import Bounds
from aggregator.engine.frame import Frames, conform
from aggregator.engine.part import Inputs
from aggregator.ledger.totals import no_totals
from aggregator.model.accounting import JobState, Run
from aggregator.model.association import Associations
from aggregator.model.calendar import Rolled
from aggregator.model.history import Chunk, OfName, RunKey, Search, run_key
from aggregator.model.job_inputs import Runs, runs_of
from aggregator.model.jobid import JobId
from aggregator.model.ledger import LedgerTotals
from aggregator.model.run_details import ArrayTasks, Dependencies, NodeEvents, Reservation
from aggregator.model.script import RecordedScript
from aggregator.model.series import AvailableGraph, Line, Lines, Span, Subject
from aggregator.model.steps import Recorded
from aggregator.model.tres import Allocation
from aggregator.model.usage import CLUSTER_STATES, UsageCatalog
from aggregator.model.view import ClusterView, SourceStatus
from aggregator.model.waste import Rule
from aggregator.parts.jobs.kept import KEPT
from aggregator.parts.waste.observation import Observation
from aggregator.parts.waste.rules import compile_rules
from aggregator.refresh.store import SnapshotStore
from aggregator.sources.base import FetchError, Plan
from aggregator.state import StateError
from tests.accounts import make_tree
from tests.spaces import Space, make_filesystem

NOW = 1_700_000_000.0
STALE_AFTER = 300.0
GIB = 2**30
JOBS = "/api/v1/clusters/narval/jobs"

A_RUN = Run(
    cluster="narval",
    run_id=9001,
    job_id=101,
    user="alice",
    account="def-kim",
    state=JobState.RUNNING,
    submit=NOW - 4000,
    eligible=NOW - 4000,
    start=NOW - 3600,
    partition="cpu",
    qos="normal",
    name="sim",
    time_limit_seconds=7200.0,
    allocated=Allocation(4, 8 * GIB, 1, {"a100": 2}),
    requested=Allocation(4, 8 * GIB, 1, {"a100": 2}),
    nodes=("n1",),
)
Row = Mapping[str, Any]
A_USE: Row = {
    "used_cpus": 1.5, "cpu_seconds": 5400.0, "memory_used_bytes": 1.0 * GIB, "memory_peak_bytes": 2.0 * GIB,
    "running_threads": 3.0, "cpu_coverage_ratio": 1.0, "memory_coverage_ratio": 0.5, "gpu_coverage_ratio": 1.0,
    "gpus_observed": 2.0, "gpus_busy": 1.0, "gpus_judged": 2.0, "gpu_utilization_ratio": 0.25,
    "gpu_memory_used_bytes": 5.0, "cpu_efficiency_ratio": 0.375, "memory_efficiency_ratio": 0.25,
    "time_limit_used_ratio": 0.5, "wasted_cpus": 2.5, "wasted_memory_bytes": 0.0, "wasted_gpus": 1.5,
}  # fmt: skip


@dataclass(frozen=True)
class Job:
    """A run, and what is known of its use, by column of `jobs`."""

    run: Run
    use: Row


def make_run(job_id: int = 101, **changes: Any) -> Run:
    """Make a running run; its run id follows from the job id unless given."""
    return replace(A_RUN, **{"job_id": job_id, "run_id": 8900 + job_id, **changes})


def make_job(job_id: int = 101, *, use: Row = A_USE, **changes: Any) -> Job:
    """Make a job that uses something."""
    return Job(make_run(job_id, **changes), use)


def make_kept(kept: Mapping[int, Row]) -> pl.DataFrame:
    """Make what the state has kept of runs, by run id."""
    return pl.DataFrame([{"run_id": run_id, **row} for run_id, row in kept.items()], schema=KEPT)


def make_status(source: str = "slurmacct", scope: str = "narval", **changes: Any) -> SourceStatus:
    """Make the status of a source that was read ten seconds ago."""
    status = SourceStatus(source, scope, up=True, last_attempt=NOW - 10, last_success=NOW - 10, rows=3)
    return replace(status, **changes)


def publish_jobs(
    store: SnapshotStore,
    *jobs: Job,
    status: SourceStatus | None = None,
    rules: Sequence[Rule] = (),
    inputs: Sequence[object] = (),
    associations: Associations | None = None,
    tree: Mapping[str, str] | None = None,
    members: Mapping[str, Collection[str]] | None = None,
    organizations: Mapping[str, str] | None = None,
    frames: Frames | None = None,
    **view: Any,
) -> None:
    """Publish a cluster's jobs, judged and added up as the service does, and its accounting's status.

    Without associations, tree is account → parent and members is user → accounts. frames are tables of the test's own,
    as far as they have rows.
    """
    compiled = compile_rules(rules)
    known = associations or make_tree(tree or {}, members or {}, organizations or {})
    own = {name: frame for name, frame in (frames or {}).items() if not frame.is_empty()}
    shown = {
        "time": NOW - 10, "runs": runs_of([job.run for job in jobs]),
        "frames": {**_frames(pickle.dumps((jobs, rules, known, *inputs))), **own},
        "context": Inputs(compiled, Observation()), **view,
    }  # fmt: skip
    store.publish_cluster(ClusterView(cluster="narval", **shown))
    store.publish_source(status or make_status())


@lru_cache(maxsize=64)
def _frames(pickled: bytes) -> Frames:
    """Join the parts one after the other, with the use that a test says: the same site once for all tests of it."""
    jobs, rules, *inputs = pickle.loads(pickled)
    given = Inputs(runs_of([job.run for job in jobs]), compile_rules(rules), *inputs)
    frames = CLUSTERS.empty()
    for part in CLUSTERS.parts:
        made = part.join(frames, given, NOW - 10)
        frames |= {name: conform(CLUSTERS.tables[name], frame) for name, frame in made.items()}
        if part.name == "jobs":
            uses = {job.run.run_id: job.use for job in jobs}
            rows = [{**row, **uses[row["run_id"]]} for row in frames["jobs"].iter_rows(named=True)]
            frames["jobs"] = pl.DataFrame(rows, schema=frames["jobs"].schema)
    return MappingProxyType(frames)


def frames_of(**tables: Sequence[Mapping[str, Any]]) -> Frames:
    """Make the frames of a cluster: these rows, of which what is not given is null; other tables are empty."""
    given = {
        name: conform(CLUSTERS.tables[name], pl.DataFrame(list(rows), infer_schema_length=None))
        for name, rows in tables.items()
    }
    return {**CLUSTERS.empty(), **given}


def publish_space(store: SnapshotStore, *groups: Space, status: SourceStatus | None = None, **view: Any) -> None:
    """Publish the file system `project`."""
    store.publish_filesystem(make_filesystem(*groups, time=NOW - 10, **view))
    store.publish_source(status or make_status("robinhood", "project"))


@dataclass
class FakeReader:
    """Slurmacct as the queries see it."""

    runs: tuple[Run, ...] = ()
    error: Exception | None = None
    scripts: dict[int, RecordedScript] = field(default_factory=dict)
    scripts_read: list[int] = field(default_factory=list)

    async def runs_of(self, asked: JobId) -> tuple[Run, ...]:
        if self.error is not None:
            raise self.error
        return tuple(run for run in self.runs if run.is_meant_by(asked))

    async def ended_since(self, since: float) -> Runs:
        if self.error is not None:
            raise self.error
        return runs_of(run for run in self.runs if run.end is not None and run.end >= since)

    async def script_of(self, run: Run) -> RecordedScript:
        self.scripts_read.append(run.run_id)
        return self.scripts.get(run.run_id, RecordedScript(missing="slurmdbd keeps no scripts"))


@dataclass
class FakeSeries:
    """A source of the graphs `cpu` and, of whole nodes, `disk`; remembers what was read."""

    lines: tuple[Line, ...] = ()
    error: Exception | None = None
    rejected: dict[str, int] = field(default_factory=dict)
    read_of: list[tuple[str, Subject, Span]] = field(default_factory=list)

    def available(self, subject: str) -> dict[str, AvailableGraph]:
        cpu = AvailableGraph(name="cpu", help="Busy CPUs.", unit="cpus", exporter="slurm_job_exporter", interval=30.0)
        disk = replace(cpu, name="disk", exporter="node_exporter", of_nodes=True)
        return {"cpu": cpu, "disk": disk} if subject == "job" else {"cpu": cpu}

    def missing(self, subject: str) -> dict[str, str]:
        return {"lustre": "lustre_exporter"}

    async def read(self, kind: str, name: str, subject: Subject, span: Span) -> Lines:
        if self.error is not None:
            raise self.error
        self.read_of.append((name, subject, span))
        wanted = set(subject.labels)
        lines = tuple(line for line in self.lines if wanted <= set(line.labels.items()))
        return Lines(lines=lines, queries=("up",), rejected=self.rejected)


@dataclass
class FakePage:
    """The metrics page: remembers the groups that were asked for."""

    groups = frozenset({"jobs", "users", "accounts", "nodes", "storage", "cloud", "service"})
    asked: list[frozenset[str] | None] = field(default_factory=list)
    error: Exception | None = None

    async def respond(self, request: web.Request, groups: frozenset[str] | None) -> web.StreamResponse:
        self.asked.append(groups)
        if self.error is not None:
            raise self.error
        return web.Response(text="# metrics\n")


@dataclass
class FakeReload:
    """The reload of the configuration: its next outcome, and how often it was asked for."""

    mistake: str | None = None
    calls: int = 0

    async def __call__(self) -> str | None:
        self.calls += 1
        return self.mistake


def make_settings(**changes: Any) -> ApiSettings:
    """Make settings with every area open, for tests that ask more often than a client may."""
    settings = ApiSettings(
        external_url="https://hpc.example.org/",
        stale_after=STALE_AFTER,
        version="1.2.3",
        open_areas=AREAS,
        upkeep=Upkeep(reload=FakeReload()),
        bounds=Bounds(requests_per_second=1_000_000, burst=1_000_000),
    )
    for name in ("upkeep", "origins", "ways"):
        group = getattr(settings, name)
        of_group = {each.name: changes.pop(each.name) for each in fields(group) if each.name in changes}
        setattr(settings, name, replace(group, **of_group))
    return replace(settings, **changes)


FETCH_ERROR = FetchError("slurmacct narval: connection refused by db1:3306")


class FakeSummaries:
    """A state that keeps what the test gives it, or fails."""

    def __init__(self) -> None:
        self.kept: dict[int, Row] = {}
        self.error: StateError | None = None

    async def summaries(self, cluster: str, run_ids: Collection[int]) -> pl.DataFrame:
        if self.error is not None:
            raise self.error
        return make_kept({run_id: self.kept[run_id] for run_id in run_ids if run_id in self.kept})


@dataclass
class FakeLedger:
    """The ledger's totals, or a state that is down."""

    totals: LedgerTotals = field(default_factory=lambda: no_totals(0.0))
    error: StateError | None = None

    async def runs(self, cluster: str, run_ids: Collection[int]) -> LedgerTotals:
        if self.error:
            raise self.error
        wanted = pl.col("run_id").is_in(list(run_ids))
        return replace(
            self.totals, runs=self.totals.runs.filter(wanted), run_costs=self.totals.run_costs.filter(wanted)
        )


@dataclass
class FakeHistory:
    """Ended runs, `size` to a chunk, and what was asked for; uids follow from the names in `known`.

    The error comes after so many reads.
    """

    runs: tuple[Run, ...] = ()
    known: dict[str, int] = field(default_factory=dict)
    size: int = 3
    error: Exception | None = None
    error_after: int = 0
    asked: list[Search] = field(default_factory=list)
    uids_asked: list[tuple[frozenset[str], frozenset[str]]] = field(default_factory=list)

    async def uids(self, users: frozenset[str], accounts: frozenset[str]) -> frozenset[int] | None:
        self.uids_asked.append((users, accounts))
        return frozenset(self.known[user] for user in users if user in self.known) if self.known else None

    async def ended(self, search: Search, after: RunKey | None) -> Chunk:
        if self.error is not None:
            if not self.error_after:
                raise self.error
            self.error_after -= 1
        self.asked.append(search)
        keyed = sorted(((run_key(run), run) for run in self.runs if run.end), key=lambda each: each[0], reverse=True)
        left = [
            each for each in keyed if search.since <= each[0][0] < search.until and (after is None or each[0] < after)
        ]
        chunk = left[: self.size]
        return Chunk(tuple(chunk), chunk[-1][0] if len(left) > self.size else None, len(chunk))

    async def of_name(self, asked: OfName) -> tuple[Run, ...]:
        if self.error is not None:
            raise self.error
        found = [run for run in self.runs if run.uid == asked.uid and run.name == asked.name and run.end]
        return tuple(sorted(found, key=run_key, reverse=True))


@dataclass
class FakeDetails:
    """The details of every run, or the errors of reading them, by part."""

    recorded: Recorded | None = None
    events: NodeEvents | None = None
    reservation: Reservation | None = None
    dependencies: Dependencies | None = None
    tasks: ArrayTasks | None = None
    errors: dict[str, Exception] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)
    events_asked: list[tuple[tuple[str, ...], float, float]] = field(default_factory=list)

    def _give(self, part: str) -> Any:
        if part in self.errors:
            raise self.errors[part]
        return getattr(self, part)

    async def recorded_of(self, run: Run) -> Recorded | None:
        self.asked.append(run.run_id)
        return self._give("recorded")  # type: ignore[no-any-return]

    async def events_of(self, run: Run, now: float) -> NodeEvents | None:
        return self._give("events")  # type: ignore[no-any-return]

    async def node_events(self, nodes: Sequence[str], since: float, until: float, most: int) -> NodeEvents | None:
        self.events_asked.append((tuple(nodes), since, until))
        found: NodeEvents | None = self._give("events")
        if found is None:
            return None
        kept = (
            each
            for each in found.events
            if each.node in nodes and each.start <= until and (each.end is None or each.end > since)
        )
        return NodeEvents(tuple(kept), found.cut)

    async def reservations(self, since: float) -> tuple[Reservation, ...] | None:
        found: Reservation | None = self._give("reservation")
        return None if found is None else (found,)

    async def reservation_of(self, run: Run) -> Reservation | None:
        return self._give("reservation")  # type: ignore[no-any-return]

    async def dependencies_of(self, run: Run) -> Dependencies | None:
        return self._give("dependencies")  # type: ignore[no-any-return]

    async def tasks_of(self, run: Run) -> ArrayTasks | None:
        return self._give("tasks")  # type: ignore[no-any-return]


@dataclass
class FakeUsage:
    """Roll-ups of one hundred seconds of each TRES in every hour of every association, or a source that fails."""

    known: UsageCatalog | None
    until: Rolled
    error: FetchError | None = None
    asked: list[tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=list)

    async def catalog(self) -> UsageCatalog | None:
        return self.known

    async def rolled(self) -> Rolled:
        return self.until

    async def series(
        self, ids: Sequence[int], tres: Collection[str], plan: Plan, qos: Collection[int] = ()
    ) -> tuple[Rolled, Mapping[tuple[str, float], float]]:
        if self.error is not None:
            raise self.error
        self.asked.append((tuple(ids), tuple(qos)))
        return self.until, {(name, at): 100.0 * hours * len(ids) for name in tres for at, hours in self._rows(plan)}

    async def totals(self, ids: Sequence[int], tres: Collection[str], plan: Plan) -> tuple[Rolled, pl.DataFrame]:
        return self.until, pl.DataFrame()

    async def cluster_series(
        self, tres: Collection[str], plan: Plan
    ) -> tuple[Rolled, Mapping[tuple[str, float, str], float]]:
        return self.until, {
            (name, at, state): 10.0 * hours
            for name in tres
            for at, hours in self._rows(plan)
            for state in CLUSTER_STATES
        }

    def _rows(self, plan: Plan) -> Iterator[tuple[float, float]]:
        assert self.known is not None
        calendar = self.known.calendar
        for segment in plan(self.until):
            for at in calendar.periods(segment.begin, segment.end, segment.resolution):
                yield at, (calendar.following(at, segment.resolution) - at) / 3600
