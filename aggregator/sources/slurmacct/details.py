"""The details of one run, read on demand: steps, node events, reservation, dependencies, array tasks."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from aggregator.model.accounting import JobState, Run
from aggregator.model.dependency import MAX_DEPENDENCIES, SINGLETON, Dependency, submitted_dependencies
from aggregator.model.jobid import JobId
from aggregator.model.run_details import ArrayTasks, Dependencies, NodeEvents, Reservation, Submission
from aggregator.model.steps import Recorded
from aggregator.sources.mysql import Reads, Row, SchemaError, text
from aggregator.sources.slurmacct import events, steps
from aggregator.sources.slurmacct.rows import NO_VAL
from aggregator.sources.slurmacct.schema import Schema
from aggregator.sources.slurmacct.source import SlurmAcct
from aggregator.sources.slurmacct.statements import run_columns

MAX_TASKS: Final = 10_000
MAX_SUBMISSIONS: Final = 1000
# Who waits for a run is looked for among those of its user that were submitted and ended near it.
NEAR_SECONDS: Final = 14 * 86_400
_LINE_BYTES: Final = 4096


def own_line(schema: Schema) -> str:
    """Select one run's uid and submit line: parameters (cut after bytes, job_db_inx)."""
    return (
        f"SELECT id_user, LEFT(CAST(submit_line AS BINARY), %s) FROM {schema.table('job')}"  # noqa: S608
        " WHERE job_db_inx=%s LIMIT 1"
    )


def user_lines(schema: Schema) -> str:
    """Select a user's runs with submit lines that are open or ended in a time.

    Parameters: (cut after bytes, uid, rows, uid, from, until, rows). Served by sacct_def2(id_user, time_end,
    time_eligible): those that ended soonest after `from` come first.
    """
    table = schema.table("job")
    open_ones = f"(SELECT job_db_inx AS chosen FROM {table} WHERE id_user=%s AND time_end=0 LIMIT %s)"  # noqa: S608
    ended = (
        f"(SELECT job_db_inx AS chosen FROM {table}"  # noqa: S608
        " WHERE id_user=%s AND time_end>=%s AND time_end<%s ORDER BY time_end LIMIT %s)"
    )
    return (
        f"SELECT {run_columns(schema)}, LEFT(CAST(submit_line AS BINARY), %s), deleted"  # noqa: S608
        f" FROM ({open_ones} UNION ALL {ended}) AS near JOIN {table} ON job_db_inx=chosen"
    )


def array_tasks(schema: Schema) -> str:
    """Select the state of every row of an array: parameters (array's id, rows); served by array_job."""
    return (
        f"SELECT id_array_task, time_submit, state, array_task_pending FROM {schema.table('job')}"  # noqa: S608
        " WHERE id_array_job=%s AND deleted+0=0 LIMIT %s"
    )


class SlurmDetails:
    """Read the details of single runs of one cluster; None is what this slurmdbd does not keep."""

    def __init__(self, accounting: SlurmAcct, database: Reads) -> None:
        self._accounting = accounting
        self._database = database

    async def recorded_of(self, run: Run) -> Recorded | None:
        """Read the steps of a run, and how it ended.

        Raises FetchError.
        """
        schema, _ = await self._accounting.known()
        if not schema.has("step", "id_step"):
            return None
        return steps.parse_recorded(
            await self._rows(steps.steps(schema), (run.run_id, steps.MAX_STEPS)),
            await self._rows(steps.facts(schema), (run.run_id,)),
            await self._rows(*steps.GPU_TRES) if schema.has("tres", "id") else [],
        )

    async def events_of(self, run: Run, now: float) -> NodeEvents | None:
        """Read the events of the run's nodes that overlap it, up to `now` for one that has not ended.

        Raises FetchError.
        """
        if run.start is None:
            return None
        until = now if run.end is None else run.end
        nodes = run.nodes[: events.MAX_NODES]
        found = await self.node_events(nodes, run.start, until, events.MAX_EVENTS_PER_NODE)
        return found and replace(found, cut=found.cut or len(run.nodes) > len(nodes))

    async def node_events(self, nodes: Sequence[str], since: float, until: float, most: int) -> NodeEvents | None:
        """Read the events of nodes that overlap a time, at most `most` of each: the newest ones.

        Raises FetchError.
        """
        schema, tables = await self._accounting.known()
        if not schema.has("event", "node_name"):
            return None
        found: list[Row] = []
        for some in events.batches([tables.spelled.get(node, node) for node in nodes]):
            window = (int(until), int(since), most)
            found += await self._rows(events.events(schema, len(some)), [v for node in some for v in (node, *window)])
        per_node = Counter(row[0] for row in found)
        return events.parse_events(found, self._accounting.names, cut=max(per_node.values(), default=0) >= most)

    async def reservations(self, since: float) -> tuple[Reservation, ...] | None:
        """Read the reservations that end at or after epoch time `since`.

        Raises FetchError.
        """
        schema, _ = await self._accounting.known()
        if not schema.has("resv", "resv_name"):
            return None
        rows = await self._rows(events.reservations(schema), (int(since), events.MAX_RESERVATIONS))
        return events.parse_reservations(rows, self._accounting.names)

    async def reservation_of(self, run: Run) -> Reservation | None:
        """Read the reservation that covered the run's start.

        Raises FetchError.
        """
        schema, _ = await self._accounting.known()
        if run.start is None or not schema.has("resv", "resv_name") or not schema.has("job", "id_resv"):
            return None
        return events.parse_reservation(await self._rows(events.reservation(schema), (run.run_id,)))

    async def dependencies_of(self, run: Run) -> Dependencies | None:
        """Read what the run waits for, and which of its user's runs near it wait for it.

        Raises FetchError.
        """
        schema, _ = await self._accounting.known()
        if not schema.has("job", "submit_line"):
            return None
        own = await self._rows(own_line(schema), (_LINE_BYTES, run.run_id))
        if not own:
            return Dependencies(())
        uid, line = own[0]
        since = int(run.submit)
        near = (uid, MAX_SUBMISSIONS, uid, since, int(run.end or since) + NEAR_SECONDS, MAX_SUBMISSIONS)
        rows = await self._rows(user_lines(schema), (_LINE_BYTES, *near))
        waits_for = self._resolved(run, submitted_dependencies(text(line)), rows)
        return Dependencies(waits_for, self._dependents(run, rows), len(rows) >= MAX_SUBMISSIONS)

    async def tasks_of(self, run: Run) -> ArrayTasks | None:
        """Count the tasks of the run's array by state.

        Raises FetchError.
        """
        schema, _ = await self._accounting.known()
        if run.array_job_id is None or not schema.has("job", "array_task_pending"):
            return None
        rows = await self._rows(array_tasks(schema), (run.array_job_id, MAX_TASKS))
        return count_tasks(rows)

    def _resolved(self, run: Run, dependencies: tuple[Dependency, ...], rows: Iterable[Row]) -> tuple[Dependency, ...]:
        """Put in place of `singleton` the jobs that a waiting run waits for by it."""
        singleton = Dependency(SINGLETON)
        if singleton not in dependencies or not is_waiting(run):
            return dependencies
        others = (self._accounting.run_of(tuple(columns)) for *columns, _, deleted in rows if not deleted)
        ids = sorted({other.job_id for other in others if other is not None and goes_first(other, run)})
        if not ids:
            return dependencies
        named = (each for each in dependencies if each != singleton)
        return (*named, *(Dependency(SINGLETON, JobId(job_id)) for job_id in ids[:MAX_DEPENDENCIES]))

    def _dependents(self, run: Run, rows: Iterable[Row]) -> tuple[Submission, ...]:
        ids = names_of(run)
        found = []
        for *columns, line, deleted in rows:
            wanted = tuple(each for each in submitted_dependencies(text(line)) if each.is_on(ids) or each.job is None)
            other = self._accounting.run_of(tuple(columns)) if wanted and not deleted else None
            if other is None or other.run_id == run.run_id:
                continue
            if held := tuple(each for each in wanted if each.job or goes_first(run, other)):
                found.append(Submission(other, held))
        return tuple(sorted(found, key=lambda each: (each.run.submit, each.run.run_id)))

    async def _rows(self, sql: str, parameters: Sequence[object]) -> list[Row]:
        try:
            return await self._database.rows(sql, parameters)
        except SchemaError:
            self._accounting.forget_schema()
            raise


def is_waiting(run: Run) -> bool:
    """Tell whether a run has neither started nor ended."""
    return run.is_open and run.start is None


def goes_first(first: Run, second: Run) -> bool:
    """Tell whether a waiting run, submitted as a singleton, has to wait until the other one of its user has ended."""
    if first.name != second.name or first.job_id == second.job_id or not (first.is_open and is_waiting(second)):
        return False
    return first.start is not None or first.job_id < second.job_id


def names_of(run: Run) -> frozenset[JobId]:
    """Give the ids by which others may wait for a run: its own, its array's, its task's, its leader's."""
    names = {JobId(run.job_id)}
    if run.array_job_id is not None:
        names |= {JobId(run.array_job_id), JobId(run.array_job_id, array_task=run.array_task_id)}
    if run.het_job_id is not None:
        names.add(JobId(run.het_job_id))
    return frozenset(names)


def count_tasks(rows: Sequence[Row]) -> ArrayTasks:
    """Count tasks by state name: of a requeued task its newest row, of a row that is not split yet all its tasks."""
    newest: dict[int, tuple[int, int]] = {}
    states: Counter[str] = Counter()
    for task, submit, state, pending in rows:
        if pending or task >= NO_VAL:
            states[_state_name(state)] += max(1, pending)
        elif submit >= newest.get(task, (0, 0))[0]:
            newest[task] = (submit, state)
    states.update(_state_name(state) for _, state in newest.values())
    return ArrayTasks(dict(states), len(rows) >= MAX_TASKS)


def _state_name(number: int) -> str:
    known = next((each for each in (number, number & 0xFF) if each in JobState._value2member_map_), None)
    return "unknown" if known is None else JobState(known).name.lower()
