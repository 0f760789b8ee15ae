"""Job ids as paths and parameters have them."""

from typing import Final

from aggregator.api.errors import BadData
from aggregator.model.jobid import JobId, JobIdError, parse_job_id

MAX_LISTED_IDS: Final = 100


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
