"""The filters of a list of jobs, and job ids, as parameters and paths have them."""

from typing import Final

from aggregator.api.errors import BadData
from aggregator.api.parameters import Parameters
from aggregator.api.selection import JobFilter
from aggregator.model.accounting import JobState
from aggregator.model.jobid import JobId, JobIdError, parse_job_id
from aggregator.model.view import ClusterView

FILTERS: Final = ("user", "account", "partition", "qos", "node", "name", "id", "array", "state")
# Each is a read of its own when they are looked for in slurmacct.
MAX_IDS: Final = 20
MAX_LISTED_IDS: Final = 100
_STATES: Final = frozenset(state.name.lower() for state in JobState)


def read_filter(asked: Parameters, view: ClusterView) -> JobFilter:
    """Read the filters.

    Raises BadData naming the one that is wrong.
    """
    ids = frozenset(read_job_id(text) for text in _few(asked, "id"))
    arrays = frozenset(read_job_id(text) for text in _few(asked, "array"))
    if any(array != JobId(array.job_id) for array in arrays):
        raise BadData("array: must be the id of a whole array such as 123")
    return JobFilter(
        users=asked.many("user"),
        accounts=asked.many("account"),
        states=asked.choices("state", _STATES),
        partitions=asked.many("partition"),
        qos=asked.many("qos"),
        nodes=frozenset(view.names.each(asked.many("node"))),
        names=asked.many("name"),
        arrays=frozenset(array.job_id for array in arrays),
        ids=ids,
    )


def read_job_id(text: str) -> JobId:
    """Read a job id.

    Raises BadData.
    """
    try:
        return parse_job_id(text)
    except JobIdError as error:
        raise BadData(str(error)) from error


def read_job_ids(text: str) -> list[JobId]:
    """Read several job ids: `123`, `123,456_7`, `100-105`.

    Raises BadData.
    """
    found: dict[JobId, None] = {}
    for part in text.split(","):
        first, dash, last = part.partition("-")
        ends = [read_job_id(end) for end in ((first, last) if dash else (first,))]
        if dash and any(end != JobId(end.job_id) for end in ends):
            raise BadData(f'job id: a range must be of whole ids such as 100-105, got "{part[:40]}"')
        ids = range(ends[0].job_id, ends[-1].job_id + 1) if dash else ()
        if len(found) + len(ids) > MAX_LISTED_IDS or (dash and not ids):
            raise BadData(f'job id: must be at most {MAX_LISTED_IDS} ids, the first before the last, got "{part[:40]}"')
        found.update((JobId(job_id), None) for job_id in ids) if dash else found.setdefault(ends[0])
    return list(found)


def _few(asked: Parameters, name: str) -> frozenset[str]:
    values = asked.many(name)
    if len(values) > MAX_IDS:
        raise BadData(f"{name}: must be at most {MAX_IDS} values, got {len(values)}")
    return values
