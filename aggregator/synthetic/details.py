"""The details of a synthetic cluster's runs, as slurmdbd would have recorded it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from aggregator.join.events import merge_events
from aggregator.model.accounting import JobState, Run
from aggregator.model.run_details import ArrayTasks, Dependencies, NodeEvent, NodeEvents, Reservation, Submission
from aggregator.model.steps import Exit, Recorded
from aggregator.synthetic.cluster import SyntheticCluster
from aggregator.synthetic.outages import MAINTENANCE_SECONDS, next_maintenance
from aggregator.synthetic.profiles import WORKSHOP
from aggregator.synthetic.steps import steps_of

_DAY: Final = 86_400.0
_MAX_EVENTS: Final = 100
_WORKSHOP_DAYS: Final = 14
# What slurmdbd keeps as the exit of a run, by how it ended.
_EXITS: Final = {
    JobState.COMPLETED: Exit(0, 0), JobState.FAILED: Exit(1, 0), JobState.CANCELLED: Exit(0, 15),
    JobState.TIMEOUT: Exit(0, 0), JobState.OUT_OF_MEMORY: Exit(0, 125), JobState.NODE_FAIL: Exit(0, 0),
    JobState.REQUEUED: Exit(0, 15),
}  # fmt: skip
_ROOT_UID: Final = 0


class SyntheticDetails:
    """Steps, node events, reservations, dependencies and array tasks of a synthetic cluster."""

    def __init__(self, cluster: SyntheticCluster) -> None:
        self._cluster = cluster

    async def recorded_of(self, run: Run) -> Recorded | None:
        """Give the steps of a run, and how it ended."""
        live = self._cluster.ran(run)
        by = None
        if run.state is JobState.CANCELLED:
            # What waits for a job that has failed is cancelled by slurmctld.
            by = _ROOT_UID if run.start is None and run.job_id in self._cluster.dependencies() else run.uid
        return Recorded(tuple(steps_of(live)) if live else (), exit=_EXITS.get(run.state), cancelled_by=by)

    async def events_of(self, run: Run, now: float) -> NodeEvents | None:
        """Give the events of the run's nodes that overlap it, up to `now` for one that has not ended."""
        if run.start is None:
            return None
        return await self.node_events(run.nodes, run.start, now if run.end is None else run.end, _MAX_EVENTS)

    async def reservation_of(self, run: Run) -> Reservation | None:
        """Give the reservation that covered the run's start."""
        live = self._cluster.ran(run)
        return self._workshop() if live and live.profile.reservation else None

    async def dependencies_of(self, run: Run) -> Dependencies | None:
        """Give what the run waits for, and which runs wait for it."""
        all_of_them = self._cluster.dependencies()
        own = all_of_them.get(run.job_id)
        waiting = [
            Submission(newest, (dependency,))
            for job_id, dependency in all_of_them.items()
            if dependency.job and dependency.job.job_id == run.job_id
            for newest in list(self._cluster.runs_of(job_id))[-1:]
        ]
        return Dependencies((own,) if own else (), tuple(waiting))

    async def tasks_of(self, run: Run) -> ArrayTasks | None:
        """Count the tasks of the run's array by state, of a requeued task its newest run."""
        if run.array_job_id is None:
            return None
        newest: dict[int, JobState] = {}
        states: Counter[str] = Counter()
        for row in self._cluster.runs_of(run.array_job_id):
            if row.array_task_id is None:
                states[row.state.name.lower()] += max(1, row.pending_tasks)
            else:
                newest[row.array_task_id] = row.state
        states.update(state.name.lower() for state in newest.values())
        return ArrayTasks(dict(states))

    async def node_events(self, nodes: Sequence[str], since: float, until: float, most: int) -> NodeEvents | None:
        """Give the events of nodes that overlap a time, at most `most` of each: the newest ones."""
        wanted = frozenset(nodes)
        of_nodes: dict[str, list[NodeEvent]] = {}
        for event in self._cluster.node_events():
            if event.node in wanted and event.start <= until and (event.end is None or event.end > since):
                of_nodes.setdefault(event.node, []).append(event)
        newest = [sorted(found, key=lambda event: event.start)[-most:] for found in of_nodes.values()]
        return NodeEvents(
            merge_events(event for found in newest for event in found),
            cut=any(len(found) > most for found in of_nodes.values()),
        )

    async def reservations(self, since: float) -> tuple[Reservation, ...] | None:
        """Give the reservations that end at or after a time: a workshop's, and the next maintenance of all nodes."""
        return tuple(each for each in self._reservations() if each.end is None or each.end >= since)

    def _reservations(self) -> Iterator[Reservation]:
        if any(pool.reservation for pool in self._cluster.pools):
            yield self._workshop()
        begin = next_maintenance(self._cluster.time)
        names = tuple(node.name for node in self._cluster.nodes)
        yield Reservation("maintenance", begin, begin + MAINTENANCE_SECONDS, names)

    def _workshop(self) -> Reservation:
        begin = self._cluster.since // _DAY * _DAY - _DAY
        names = (node.name for pool in self._cluster.pools if pool.reservation for node in pool.nodes)
        return Reservation(WORKSHOP, begin, begin + _WORKSHOP_DAYS * _DAY, tuple(names))
