"""What runs where and until when: an event-driven queue whose state depends on the time only, not on the steps."""

import heapq
import itertools
import math
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from random import Random
from typing import Final

from aggregator.model.accounting import JobState, Run
from aggregator.model.dependency import Dependency
from aggregator.model.jobid import JobId
from aggregator.synthetic.fate import draw_outcome, draw_seconds
from aggregator.synthetic.jobtable import JobTable
from aggregator.synthetic.limits import Claim, Limiter, needed_by
from aggregator.synthetic.liverun import LiveRun, cpu_waves
from aggregator.synthetic.nodes import Node, NodePool
from aggregator.synthetic.outages import Outages
from aggregator.synthetic.profiles import PROFILES, WORKSHOP, Profile, Shape, scale
from aggregator.synthetic.submission import Submission, Submitter, allocation

_KEEP_ENDED_SECONDS = 86_400.0
# Enough for the hours that usage adds up.
_KEEP_ENDED_AT_LEAST = 7200.0
# Only so many of a profile's waiting submissions are tried when there is room, as a backfill scheduler would.
_LOOK_AHEAD = 3
# Of a longer queue so many places are asked for their limits, the next ones each time.
_ASKED_AT_ONCE = 100
_MEAN_HOLD_SECONDS = 5400.0
_MEAN_WAIT_SECONDS = 7200.0
_TIDE = 0.03
_TIDE_SECONDS = 5400.0
_CANCELLED_WHILE_PENDING = 0.1
# The first outages after the beginning, so that a cluster of some hours has seen some; then about so often. One of
# twice the size has them twice as often.
_FIRST_FAILURE, _MEAN_FAILURE = 3.3 * 3600.0, 12 * 3600.0
_FIRST_DRAIN, _MEAN_DRAIN = 3.7 * 3600.0, 9 * 3600.0
_REBOOT_SECONDS = 1500.0
_REPAIR_SECONDS = (3 * 3600.0, 12 * 3600.0)
# So often it is tried to start a run of the past.
_DRAFTED: Final = 8
# What is told of is young when the cluster begins, so that its whole life has been observed.
_TOLD_AGE_SECONDS: Final = 60.0
_TOLD_SECONDS: Final = 18 * 3600.0
AFTER_OK: Final = "afterok"

# What each component of a submission got.
_Placement = list[tuple[Shape, NodePool, tuple[Node, ...]]]


class Scheduler:
    """Keeps every profile at its number of running jobs, as far as the nodes have room and the limits allow."""

    def __init__(
        self, rng: Random, submitter: Submitter, limiter: Limiter, pools: dict[str, NodePool], running: int, at: float,
        size: float = 1.0,
    ) -> None:  # fmt: skip
        self._rng = rng
        self._size = size
        self._keep_ended = max(_KEEP_ENDED_AT_LEAST, _KEEP_ENDED_SECONDS / size)
        self._submitter = submitter
        self._limiter = limiter
        self._pools = pools
        gpus = sum(4 * len(pool.nodes) for pool in pools.values() if pool.gpu_type)
        targets = scale(running, gpus, reserved=WORKSHOP in pools)
        self._profiles = {profile.name: profile for profile in PROFILES if profile.name in targets}
        self._targets = targets
        self._counts: Counter[str] = Counter()
        self._queues: dict[str, list[Submission]] = {name: [] for name in targets}
        self._next_place: Counter[str] = Counter()
        self._waiting: dict[int, Submission] = {}
        self._needed: dict[str, Claim] = {}
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._sequence = itertools.count()
        self.table = JobTable()
        self.outages = Outages(pools[""], rng)
        self.live: dict[int, LiveRun] = {}
        self._live_of: defaultdict[str, dict[int, LiveRun]] = defaultdict(dict)
        # Those of the ended that ran, with what they did.
        self.finished: deque[LiveRun] = deque()
        # Job id → what it was submitted to wait for.
        self.dependencies: dict[int, Dependency] = {}
        self._fill(at)

    def advance(self, to: float, most: int | None = None) -> bool:
        """Play the events up to and including `to`, and forget runs that ended long before it.

        Tell whether all are played: at most `most` are at once.
        """
        for _ in itertools.count() if most is None else range(most):
            if not self._events or self._events[0][0] > to:
                break
            at, _, happen = heapq.heappop(self._events)
            happen(at)
            self._refill(at)
        else:
            return False
        for job_id in self.table.forget(to - self._keep_ended):
            self.dependencies.pop(job_id, None)
        while self.finished and (self.finished[0].run.end or 0.0) < to - self._keep_ended:
            self.finished.popleft()
        return True

    def pending(self) -> list[Run]:
        """List the rows that wait, arrays not split, held ones last."""
        submissions = itertools.chain(*self._queues.values(), self._waiting.values())
        return [run for submission in submissions for run in submission.runs]

    def _schedule(self, at: float, happen: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (at, next(self._sequence), happen))

    # -- a cluster that has been busy for days

    def _fill(self, at: float) -> None:
        """Start old runs first, so that ids grow with time."""
        if self.outages.possible:
            self.outages.begin(at)
            self._schedule(at + _FIRST_FAILURE / self._size, self._fail_node)
            self._schedule(at + _FIRST_DRAIN / self._size, self._drain_node)
        drafts = sorted(self._drafts(at))
        self._begin_told(at - _TOLD_AGE_SECONDS, drafts[0][0])
        for began, name, seconds in drafts:
            self._draft(name, began, seconds, began)
        for submitted, name in sorted(self._backlog(at)):
            self._submit(name, submitted, at)
        self._refill(at)

    def _begin_told(self, began: float, wanted: float) -> None:
        """Start a run of each profile that is told of, large ones first, before all others: there is room for it.

        Of those without GPUs the first has the first two nodes as a whole: the second's exporter is down.
        """
        told = [self._profiles[name] for name in self._targets if self._profiles[name].told]
        for profile in sorted(told, key=lambda each: each.gpus, reverse=True):
            self._draft(profile.name, began, min(profile.limit_hours * 3600, _TOLD_SECONDS), wanted)
        self.outages.spared = frozenset(node.name for live in self.live.values() for node in live.nodes)

    def _draft(self, name: str, began: float, seconds: float, wanted: float) -> None:
        """Start a run in the past; where all that wait are at their limits or do not fit, of one more submission."""
        queue, most = self._queues[name], max(_DRAFTED, self._targets[name][1])
        for _ in range(_DRAFTED):
            if queue and self._start_from(name, began, seconds):
                return
            submission = self._submitter.submit(self._profiles[name], wanted - 30.0, waits=False)
            if submission is None or len(queue) > most:
                return
            self._enqueue(submission)

    def _drafts(self, at: float) -> list[tuple[float, str, float]]:
        """Draw start and duration of the first runs, longer ones more often: those are met more often at any time."""
        drafts = []
        for name, (running, _) in self._targets.items():
            profile = self._profiles[name]
            for _ in range(math.ceil(running / len(profile.components)) - profile.told):
                seconds = draw_seconds(self._rng, profile, length_biased=True)
                drafts.append((at - float(int(self._rng.random() * seconds)), name, seconds))
        return drafts

    def _backlog(self, at: float) -> list[tuple[float, str]]:
        return [
            (at - float(int(self._rng.expovariate(1 / _MEAN_WAIT_SECONDS))), name)
            for name, (_, pending) in self._targets.items()
            for _ in range(pending - len(self._queues[name]))
        ]

    # -- what is submitted, and what waits

    def _submit(self, name: str, submitted: float, now: float) -> bool:
        """Let a user submit a job, if any may; a held or dependent one is not released before `now`."""
        profile = self._profiles[name]
        waits = self._rng.random() < profile.waiting
        submission = self._submitter.submit(profile, submitted, waits=waits)
        if submission is None:
            return False
        if not waits:
            self._enqueue(submission)
            return True
        self._write(submission)
        run = submission.runs[0]
        self._waiting[run.run_id] = submission
        first = self._first_of(run)
        if first is not None:
            self.dependencies[run.job_id] = Dependency(AFTER_OK, JobId(first.run.job_id))
        until = first.end if first else now + round(self._rng.expovariate(1 / _MEAN_HOLD_SECONDS))
        self._schedule(until + 1, partial(self._stop_waiting, run.run_id))
        return True

    def _enqueue(self, submission: Submission) -> None:
        self._write(submission)
        self._queues[submission.profile.name].append(submission)

    def _write(self, submission: Submission) -> None:
        for run in submission.runs:
            self.table.put(run)
            self._limiter.count_submitted(run, run.pending_tasks or 1)

    def _first_of(self, run: Run) -> LiveRun | None:
        """Choose a run of the same user that goes first, if there is one."""
        able = [
            live
            for live in self._live_of[run.user].values()
            if live.run.array_job_id is None and live.run.het_job_id is None
            if live.run.submit <= run.submit
        ]
        return self._rng.choice(able) if able else None

    def _stop_waiting(self, run_id: int, at: float) -> None:
        """End a hold or a dependency: some users cancel instead, and what waits for a failed job never starts."""
        submission = self._waiting[run_id]
        dependency = self.dependencies.get(submission.runs[0].job_id)
        first = self._newest(dependency.job.job_id) if dependency and dependency.job else None
        if first is not None and first.is_open:
            self._schedule(at + 600.0, partial(self._stop_waiting, run_id))
            return
        del self._waiting[run_id]
        if first is not None:
            gives_up = first.state is not JobState.COMPLETED
        else:
            gives_up = self._rng.random() < _CANCELLED_WHILE_PENDING
        if gives_up:
            for run in submission.runs:
                self._end(replace(run, state=JobState.CANCELLED, end=at))
        else:
            eligible = submission.made_eligible(at)
            for run in eligible.runs:
                self.table.put(run)
            self._queues[submission.profile.name].append(eligible)

    def _newest(self, job_id: int) -> Run | None:
        return next(iter(reversed(list(self.table.find(job_id)))), None)

    def _end(self, run: Run) -> None:
        """Write a row that has ended."""
        self.table.put(run)
        self._limiter.count_submitted(run, -(run.pending_tasks or 1))

    # -- what starts

    def _refill(self, at: float) -> None:
        """Start jobs of the profiles that lack most, until none of them fits."""
        blocked: set[str] = set()
        while lacking := [name for name in self._lacking(at) if name not in blocked]:
            for name in lacking:
                if self._start_from(name, at):
                    break
                # Whatever else starts now takes room, and gives none.
                blocked.add(name)

    def _lacking(self, at: float) -> list[str]:
        """List the profiles below their numbers, which rise and fall a little so that graphs are not flat."""
        full = 0.98 + _TIDE * math.sin(at / _TIDE_SECONDS * 2 * math.pi)
        shares = [(self._counts[name] / running, name) for name, (running, _) in self._targets.items()]
        return [name for share, name in sorted(shares) if share < full]

    def _start_from(self, name: str, at: float, seconds: float | None = None) -> bool:
        """Start the first of a profile's next submissions that fits, and let a user submit another one."""
        queue = self._queues[name]
        if not self._has_room(self._profiles[name]):
            return False
        for position, submission in itertools.islice(self._allowed(name, at), _LOOK_AHEAD):
            placement = self._place(submission)
            if placement is None:
                continue
            del queue[position]
            if submission.tasks:
                submission, left = self._submitter.split(submission)
                if left is not None:
                    queue.insert(position, left)
                    self.table.put(left.runs[0])
            self._launch(submission, placement, at, seconds or draw_seconds(self._rng, submission.profile))
            if seconds is None:
                self._top_up(name, at)
            return True
        if seconds is None and len(queue) < 2 * self._targets[name][1] and not any(self._allowed(name, at)):
            # All who wait are at their limits: somebody else comes.
            self._submit(name, at, at)
        return False

    def _has_room(self, profile: Profile) -> bool:
        """Tell whether it is worth a look who may: the nodes are full most of the time."""
        gpu_types = [pool.gpu_type for pool in self._pools.values() if pool.gpu_type]
        shape = profile.components[0]
        keys = [profile.reservation] if profile.reservation or not shape.gpus else gpu_types
        return any(self._pools[key].has_room(shape) for key in keys)

    def _allowed(self, name: str, at: float) -> Iterator[tuple[int, Submission]]:
        """List a profile's submissions whose limits leave room, with their places; owners come again and again."""
        verdicts: dict[tuple[str, str], bool] = {}
        for position in self._places(name):
            submission = self._queues[name][position]
            first = submission.runs[0]
            owner = (first.account, first.user)
            if owner not in verdicts:
                verdicts[owner] = self._limiter.may_start(first, self._needed_by(submission), at)
            if verdicts[owner]:
                yield position, submission

    def _places(self, name: str) -> Iterable[int]:
        """List the places of a profile's queue that are asked now."""
        count = len(self._queues[name])
        if count <= _ASKED_AT_ONCE:
            return range(count)
        begin = self._next_place[name]
        self._next_place[name] = (begin + _ASKED_AT_ONCE) % count
        return (place % count for place in range(begin, begin + _ASKED_AT_ONCE))

    def _needed_by(self, submission: Submission) -> Claim:
        """Add up what a submission asks for: all of a profile ask for the same."""
        name = submission.profile.name
        if name not in self._needed:
            self._needed[name] = needed_by(submission.runs)
        return self._needed[name]

    def _top_up(self, name: str, at: float) -> None:
        while len(self._queues[name]) < self._targets[name][1] and self._submit(name, at, at):
            continue

    def _place(self, submission: Submission) -> _Placement | None:
        """Allocate all components or none."""
        placed: _Placement = []
        for shape in submission.profile.components:
            pool = self._pools[submission.profile.reservation or (submission.gpu_type if shape.gpus else "")]
            nodes = pool.take(shape)
            if nodes is None:
                for earlier, its_pool, its_nodes in placed:
                    its_pool.release(its_nodes, earlier)
                return None
            placed.append((shape, pool, nodes))
        return placed

    def _launch(self, submission: Submission, placement: _Placement, at: float, seconds: float) -> None:
        profile = submission.profile
        outcome = draw_outcome(self._rng, profile, seconds)
        for run, (shape, pool, nodes) in zip(submission.runs, placement, strict=True):
            names = tuple(sorted(node.name for node in nodes))
            started = replace(
                run, state=JobState.RUNNING, start=at, nodes=names, allocated=allocation(shape, pool.gpu_type)
            )  # fmt: skip
            self.table.put(started)
            self._limiter.count_running(started, 1)
            waves = cpu_waves(started, profile.behaviour, shape)
            live = LiveRun(started, profile, shape, pool, nodes, at + seconds, outcome, waves)
            self.live[run.run_id] = self._live_of[run.user][run.run_id] = live
            self._counts[profile.name] += 1
            self._schedule(at + seconds, partial(self._finish, run.run_id))

    # -- what ends

    def _finish(self, run_id: int, at: float, outcome: JobState | None = None) -> None:
        """End a run, unless its node has failed before."""
        live = self.live.pop(run_id, None)
        if live is None:
            return
        del self._live_of[live.run.user][run_id]
        live.pool.release(live.nodes, live.shape)
        for node in live.nodes:
            self.outages.emptied(node, at)
        name = live.profile.name
        self._counts[name] -= 1
        done = replace(live.run, state=outcome or live.outcome, end=at)
        self._limiter.count_running(live.run, -1)
        self._end(done)
        self.finished.append(replace(live, run=done))
        if done.state in (JobState.REQUEUED, JobState.NODE_FAIL) and len(live.profile.components) == 1:
            again = self._submitter.requeue(live.profile, live.pool.gpu_type, live.run, at)
            self._write(again)
            self._queues[name].insert(0, again)

    def _fail_node(self, at: float) -> None:
        """Let a node stop to answer: what runs on it, and with what runs on it, ends."""
        node = self.outages.choose()
        self.outages.fail(node, at)
        lost = {live.run.run_id: live.run.het_job_id for live in self.live.values() if node in live.nodes}
        leaders = {leader for leader in lost.values() if leader is not None}
        others = [live.run.run_id for live in self.live.values() if live.run.het_job_id in leaders]
        for run_id in sorted({*lost, *others}):
            self._finish(run_id, at, JobState.NODE_FAIL)
        self._schedule(at + _REBOOT_SECONDS, partial(self.outages.resume, node))
        self._schedule(at + self._until_next(3600.0, _MEAN_FAILURE), self._fail_node)

    def _drain_node(self, at: float) -> None:
        """Let an administrator drain a node, and put it back some hours later."""
        node = self.outages.choose()
        self.outages.drain(node, at)
        self._schedule(at + round(self._rng.uniform(*_REPAIR_SECONDS)), partial(self.outages.resume, node))
        self._schedule(at + self._until_next(7200.0, _MEAN_DRAIN), self._drain_node)

    def _until_next(self, least: float, mean: float) -> float:
        """Draw the seconds until the next outage of a kind."""
        return (least + round(self._rng.expovariate(1 / mean))) / self._size
