"""What runs where and until when: an event-driven queue whose state depends on the time only, not on the steps."""

import heapq
import itertools
import math
from collections import Counter, deque
from dataclasses import dataclass, replace
from random import Random

from aggregator.model.accounting import JobState, Run
from aggregator.sources.synthetic.nodes import Node, Pool
from aggregator.sources.synthetic.profiles import PROFILES, Profile, Shape, scale
from aggregator.sources.synthetic.submission import Submission, Submitter, allocation

KEEP_ENDED_SECONDS = 3600.0
# Only so many of a profile's waiting submissions are tried when there is room, as a backfill scheduler would.
_LOOK_AHEAD = 3
_MEAN_HOLD_SECONDS = 5400.0
_MEAN_WAIT_SECONDS = 7200.0
_TIDE = 0.03
_TIDE_SECONDS = 5400.0
_CANCELLED_WHILE_PENDING = 0.1
_OUTCOMES = (
    (0.05, JobState.FAILED),
    (0.03, JobState.CANCELLED),
    (0.01, JobState.REQUEUED),
    (0.002, JobState.NODE_FAIL),
)

# What each component of a submission got.
_Placement = list[tuple[Shape, Pool, tuple[Node, ...]]]


@dataclass(frozen=True, slots=True)
class LiveRun:
    """One run on its nodes, with what only the model knows: its kind, and how and when it will end."""

    run: Run
    profile: Profile
    shape: Shape
    pool: Pool
    nodes: tuple[Node, ...]
    end: float
    outcome: JobState


class Scheduler:
    """Keeps every profile at its number of running jobs, as far as the nodes have room."""

    def __init__(self, rng: Random, submitter: Submitter, pools: dict[str, Pool], running: int, at: float) -> None:
        self._rng = rng
        self._submitter = submitter
        self._pools = pools
        gpus = sum(4 * len(pool.nodes) for pool in pools.values() if pool.gpu_type)
        targets = scale(running, gpus)
        self._profiles = {profile.name: profile for profile in PROFILES if profile.name in targets}
        self._targets = targets
        self._counts: Counter[str] = Counter()
        self._queues: dict[str, list[Submission]] = {name: [] for name in targets}
        self._waiting: dict[int, Submission] = {}
        self._events: list[tuple[float, int, int]] = []
        self._sequence = itertools.count()
        self.live: dict[int, LiveRun] = {}
        self.ended: deque[Run] = deque()
        # Those of the ended that ran, with what they did.
        self.finished: deque[LiveRun] = deque()
        self._fill(at)

    def advance(self, to: float) -> None:
        """Play all events up to and including `to`, and forget runs that ended long before it."""
        while self._events and self._events[0][0] <= to:
            at, _, run_id = heapq.heappop(self._events)
            if run_id in self.live:
                self._finish(self.live.pop(run_id), at)
            else:
                self._stop_waiting(self._waiting.pop(run_id), at)
            self._refill(at)
        while self.ended and (self.ended[0].end or 0.0) < to - KEEP_ENDED_SECONDS:
            self.ended.popleft()
        while self.finished and (self.finished[0].run.end or 0.0) < to - KEEP_ENDED_SECONDS:
            self.finished.popleft()

    def pending(self) -> list[Run]:
        """List the rows that wait, arrays not split, held ones last."""
        submissions = itertools.chain(*self._queues.values(), self._waiting.values())
        return [run for submission in submissions for run in submission.runs]

    def _fill(self, at: float) -> None:
        """Make a cluster that has been busy for days: old runs first, so that ids grow with time."""
        for began, name, seconds in sorted(self._drafts(at)):
            if not self._queues[name]:
                self._queues[name].append(self._submitter.submit(self._profiles[name], began - 30.0, waits=False))
            self._start_from(name, began, seconds)
        for submitted, name in sorted(self._backlog(at)):
            self._submit(name, submitted, at)
        self._refill(at)

    def _drafts(self, at: float) -> list[tuple[float, str, float]]:
        """Draw start and duration of the first runs, longer ones more often: those are met more often at any time."""
        drafts = []
        for name, (running, _) in self._targets.items():
            profile = self._profiles[name]
            for _ in range(math.ceil(running / len(profile.components))):
                seconds = self._draw_seconds(profile, length_biased=True)
                drafts.append((at - float(int(self._rng.random() * seconds)), name, seconds))
        return drafts

    def _backlog(self, at: float) -> list[tuple[float, str]]:
        return [
            (at - float(int(self._rng.expovariate(1 / _MEAN_WAIT_SECONDS))), name)
            for name, (_, pending) in self._targets.items()
            for _ in range(pending - len(self._queues[name]))
        ]

    def _draw_seconds(self, profile: Profile, *, length_biased: bool = False) -> float:
        center = math.log(profile.median_minutes * 60) + (profile.sigma**2 if length_biased else 0.0)
        drawn = round(self._rng.lognormvariate(center, profile.sigma))
        return min(max(20.0, drawn), profile.limit_hours * 3600)

    def _submit(self, name: str, submitted: float, now: float) -> None:
        """Let a user submit a job; a held or dependent one is not released before `now`."""
        profile = self._profiles[name]
        if self._rng.random() >= profile.waiting:
            self._queues[name].append(self._submitter.submit(profile, submitted, waits=False))
            return
        submission = self._submitter.submit(profile, submitted, waits=True)
        run_id = submission.runs[0].run_id
        self._waiting[run_id] = submission
        self._schedule(now + round(self._rng.expovariate(1 / _MEAN_HOLD_SECONDS)) + 1, run_id)

    def _schedule(self, at: float, run_id: int) -> None:
        heapq.heappush(self._events, (at, next(self._sequence), run_id))

    def _refill(self, at: float) -> None:
        """Start jobs of the profiles that lack most, until none of them fits."""
        while any(self._start_from(name, at) for name in self._lacking(at)):
            continue

    def _lacking(self, at: float) -> list[str]:
        """List the profiles below their numbers, which rise and fall a little so that graphs are not flat."""
        full = 0.98 + _TIDE * math.sin(at / _TIDE_SECONDS * 2 * math.pi)
        shares = [(self._counts[name] / running, name) for name, (running, _) in self._targets.items()]
        return [name for share, name in sorted(shares) if share < full]

    def _start_from(self, name: str, at: float, seconds: float | None = None) -> bool:
        """Start the first of a profile's next submissions that fits, and let a user submit another one."""
        queue = self._queues[name]
        for position, submission in enumerate(queue[:_LOOK_AHEAD]):
            placement = self._place(submission)
            if placement is None:
                continue
            del queue[position]
            if submission.tasks:
                submission, left = self._submitter.split(submission)
                if left is not None:
                    queue.insert(position, left)
            self._launch(submission, placement, at, seconds or self._draw_seconds(submission.profile))
            if seconds is None:
                self._top_up(name, at)
            return True
        return False

    def _top_up(self, name: str, at: float) -> None:
        while len(self._queues[name]) < self._targets[name][1]:
            self._submit(name, at, at)

    def _place(self, submission: Submission) -> _Placement | None:
        """Allocate all components or none."""
        placed: _Placement = []
        for shape in submission.profile.components:
            pool = self._pools[submission.gpu_type if shape.gpus else ""]
            nodes = pool.take(shape)
            if nodes is None:
                for earlier, its_pool, its_nodes in placed:
                    its_pool.release(its_nodes, earlier)
                return None
            placed.append((shape, pool, nodes))
        return placed

    def _launch(self, submission: Submission, placement: _Placement, at: float, seconds: float) -> None:
        profile = submission.profile
        outcome = self._draw_outcome(profile, seconds)
        for run, (shape, pool, nodes) in zip(submission.runs, placement, strict=True):
            names = tuple(sorted(node.name for node in nodes))
            started = replace(
                run, state=JobState.RUNNING, start=at, nodes=names, allocated=allocation(shape, pool.gpu_type)
            )  # fmt: skip
            self.live[run.run_id] = LiveRun(started, profile, shape, pool, nodes, at + seconds, outcome)
            self._counts[profile.name] += 1
            self._schedule(at + seconds, run.run_id)

    def _draw_outcome(self, profile: Profile, seconds: float) -> JobState:
        if seconds >= profile.limit_hours * 3600:
            return JobState.TIMEOUT
        drawn = self._rng.random()
        for share, state in ((profile.out_of_memory, JobState.OUT_OF_MEMORY), *_OUTCOMES):
            drawn -= share
            # Slurm requeues a heterogeneous job as a whole; here each component ends alone.
            if drawn < 0 and (state is not JobState.REQUEUED or len(profile.components) == 1):
                return state
        return JobState.COMPLETED

    def _finish(self, live: LiveRun, at: float) -> None:
        live.pool.release(live.nodes, live.shape)
        name = live.profile.name
        self._counts[name] -= 1
        done = replace(live.run, state=live.outcome, end=at)
        self.ended.append(done)
        self.finished.append(replace(live, run=done))
        if live.outcome is JobState.REQUEUED:
            again = self._submitter.requeue(live.profile, live.pool.gpu_type, live.run, at)
            self._queues[name].insert(0, again)

    def _stop_waiting(self, submission: Submission, at: float) -> None:
        """End a hold or a dependency; some users cancel instead."""
        if self._rng.random() < _CANCELLED_WHILE_PENDING:
            self.ended.extend(replace(run, state=JobState.CANCELLED, end=at) for run in submission.runs)
        else:
            self._queues[submission.profile.name].append(submission.made_eligible(at))
