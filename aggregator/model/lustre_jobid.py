"""What Lustre's clients write into `jobid`: a Slurm job id, a process and its uid, or what the site makes of it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_UINT32: Final = 1 << 32
# Lustre's own limit is 32 bytes; a text far beyond it is none of its job ids.
_LONGEST: Final = 64
# The codes of jobid_name. Names of processes and hosts may hold anything; of two that could be meant, the last digits.
_CODES: Final = {
    "%e": ".*", "%g": "[0-9]+", "%h": ".+", "%H": ".+", "%j": "(?P<job>[0-9]*)", "%p": "[0-9]+",
    "%u": "(?P<uid>[0-9]+)",
}  # fmt: skip
# The uid of a process that ran outside of Slurm; what follows a colon is the name of the client.
_PROCESS: Final = re.compile(r".*\.(?P<uid>[0-9]+)(?::.*)?", re.ASCII | re.DOTALL)
_JOB: Final = re.compile(r"(?P<job>[0-9]+)", re.ASCII)


class JobIdNameError(ValueError):
    """The text is no jobid_name that tells jobs or users apart."""


@dataclass(frozen=True, slots=True)
class Sender:
    """What a job id says: the number of a Slurm job, or the uid of a process; neither where it is not understood."""

    job_id: int | None = None
    uid: int | None = None


UNKNOWN: Final = Sender()


class JobIdParser:
    """Understand job ids: by the site's own forms first, then `123`, and `name.uid` with or without `:host`."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        """Take the site's forms as its clients have them in jobid_name.

        Raises JobIdNameError.
        """
        self._forms = (*map(compile_name, names), _JOB, _PROCESS)

    def parse(self, text: str) -> Sender:
        """Tell what a job id means; the first form that fits has it."""
        if len(text) > _LONGEST:
            return UNKNOWN
        matches = (form.fullmatch(text) for form in self._forms)
        return next(map(_origin, filter(None, matches)), UNKNOWN)


def compile_name(name: str) -> re.Pattern[str]:
    """Turn a jobid_name (`%j:%H`) into the pattern of what it writes.

    Raises JobIdNameError.
    """
    parts = re.split("(%.?)", name)
    pattern = "".join(re.escape(part) if not part.startswith("%") else _code(name, part) for part in parts)
    if "%j" not in parts and "%u" not in parts:
        raise JobIdNameError(f"must have %j (the job) or %u (the uid), got {name[:_LONGEST]!r}")
    if any(parts.count(code) > 1 for code in _CODES):
        raise JobIdNameError(f"must have each code once at most, got {name[:_LONGEST]!r}")
    return re.compile(pattern, re.ASCII | re.DOTALL)


def _code(name: str, code: str) -> str:
    if code not in _CODES:
        raise JobIdNameError(f"must have no code but {', '.join(_CODES)}, got {name[:_LONGEST]!r}")
    return _CODES[code]


def _origin(match: re.Match[str]) -> Sender:
    """Read the numbers of a match; one that has both is a job's unless it is empty or impossible."""
    found = match.groupdict()
    job_id, uid = _number(found.get("job")), _number(found.get("uid"))
    if job_id:
        return Sender(job_id=job_id)
    return Sender(uid=uid)


def _number(digits: str | None) -> int | None:
    """Read a number of 32 bits; None for what is not there, or is none."""
    # Short enough first: int() of a very long text is slow.
    number = int(digits) if digits and len(digits.lstrip("0")) <= 10 else None
    return number if number is not None and number < _UINT32 else None
