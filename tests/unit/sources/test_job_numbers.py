"""A series means a job by its number, or by its SLUID (Slurm 26.05): one of them, and no other job."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from aggregator.sources.job_numbers import JobNumbers, write_sluid

SLUID, TEXT = 0xBC064B4483EA1000, "sBR1JB8J1YM400"


def read(numbers: JobNumbers, *texts: str) -> list[int | None]:
    return numbers.of(pl.Series(texts, dtype=pl.String)).to_list()


def test_a_sluid_is_written_as_slurm_writes_it() -> None:
    assert write_sluid(SLUID) == TEXT
    assert write_sluid(2**64 - 1) == "sFZZZZZZZZZZZZ"


def test_both_forms_of_a_job_are_the_same_job_and_what_is_not_known_is_none() -> None:
    numbers = JobNumbers()
    assert read(numbers, "4711", TEXT) == [4711, None]
    numbers.learn(SLUID, 4711)
    numbers.learn(0, 12)
    assert read(numbers, "4711", TEXT, "s0000000000000", TEXT.lower(), "", "error") == [4711, 4711, *[None] * 4]
    assert numbers.names_of(4711) == ("4711", TEXT)
    assert numbers.names_of(12) == ("12",)


@given(st.dictionaries(st.integers(1, 2**64 - 1), st.integers(1, 2**32 - 1), max_size=20))
def test_each_job_is_found_by_its_own_sluid(jobs: dict[int, int]) -> None:
    numbers = JobNumbers()
    for sluid, job_id in jobs.items():
        numbers.learn(sluid, job_id)
    numbers.forget(jobs.items())
    assert read(numbers, *map(write_sluid, jobs)) == list(jobs.values())
