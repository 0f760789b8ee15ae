"""Which job a text of a series means: from Slurm 26.05 on a cgroup may be called by the job's SLUID, not its number."""

from collections.abc import Iterable
from typing import Final

import polars as pl

# Slurm's job ids have 32 bits.
_JOB_ID: Final = "^[0-9]{1,10}$"
_DIGITS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# s, and 13 digits to the base of 32 (Crockford's).
SLUID: Final = f"^s[{_DIGITS}]{{13}}$"
_PLACES: Final = range(60, -1, -5)
# A cluster that is upgraded has both kinds for a while; what is forgotten is learned again when its row changes.
_MOST: Final = 200_000


def write_sluid(sluid: int) -> str:
    """Write a SLUID as Slurm does."""
    return "s" + "".join([_DIGITS[sluid >> place & 31] for place in _PLACES])


class JobNumbers:
    """The numbers of one cluster's jobs by SLUID, as slurmacct has told them."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def learn(self, sluid: int, job_id: int) -> None:
        """Remember what a row of the job table says; 0 is none."""
        if sluid:
            self._numbers[write_sluid(sluid)] = job_id

    def forget(self, followed: Iterable[tuple[int, int]]) -> None:
        """Keep those of some rows (SLUID, job id) only, once they are too many."""
        if len(self._numbers) > _MOST:
            self._numbers = {write_sluid(sluid): job_id for sluid, job_id in followed if sluid}

    def of(self, texts: pl.Series) -> pl.Series:
        """Read the values of a label as job ids; null where it is none that is known."""
        ids = texts.set(~texts.str.contains(_JOB_ID), None).cast(pl.Int64)
        if not self._numbers or not ids.null_count():
            return ids
        others = texts.filter(ids.is_null()).unique()
        known = {text: self._numbers[text] for text in others if text in self._numbers}
        return ids.fill_null(texts.replace_strict(known, default=None, return_dtype=pl.Int64))

    def names_of(self, job_id: int) -> tuple[str, ...]:
        """Give the texts that mean a job."""
        return str(job_id), *(text for text, number in self._numbers.items() if number == job_id)
