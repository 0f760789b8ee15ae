"""The forms in which people write a job id: `123`, the array task `123_4`, the component `123+1`."""

import re
from dataclasses import dataclass

_FORM = re.compile(r"(\d{1,10})(?:_(\d{1,10})|\+(\d{1,5}))?", re.ASCII)
_UINT32 = 1 << 32


class JobIdError(ValueError):
    """The text is none of the forms of a job id."""


@dataclass(frozen=True, slots=True)
class JobId:
    """One job id as it was asked for; at most one of array_task and het_offset is set."""

    job_id: int
    array_task: int | None = None
    het_offset: int | None = None

    def __str__(self) -> str:
        if self.array_task is not None:
            return f"{self.job_id}_{self.array_task}"
        return f"{self.job_id}+{self.het_offset}" if self.het_offset is not None else str(self.job_id)


def display_id(
    job_id: int,
    array_job_id: int | None = None,
    array_task_id: int | None = None,
    het_job_id: int | None = None,
    het_offset: int | None = None,
) -> str:
    """Write the id as sacct does: `123`, `123_4`, `123_[…]`, `123+1`."""
    if array_job_id is not None:
        return f"{array_job_id}_{'[…]' if array_task_id is None else array_task_id}"
    if het_job_id is not None and het_offset is not None:
        return f"{het_job_id}+{het_offset}"
    return str(job_id)


def parse_job_id(text: str) -> JobId:
    """Parse one of the three forms, or raise JobIdError."""
    match = _FORM.fullmatch(text)
    numbers = [int(number) if number is not None else None for number in match.groups()] if match else []
    if not numbers or any(number is not None and number >= _UINT32 for number in numbers):
        raise JobIdError(f"job id: must be like 123, 123_4 or 123+1, got {text[:40]!r}")
    job_id, task, offset = numbers
    assert job_id is not None  # the first group always matches
    return JobId(job_id, task, offset)
