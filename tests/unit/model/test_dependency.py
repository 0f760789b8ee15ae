"""sbatch's --dependency, read from submit lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.dependency import MAX_DEPENDENCIES, Dependency, parse_dependency, submitted_dependencies
from aggregator.model.jobid import JobId

OK, ANY = Dependency("afterok", JobId(12)), Dependency("afterany", JobId(12))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sbatch --dependency=afterok:12 job.sh", (OK,)),
        ("sbatch --dependency afterok:12 job.sh", (OK,)),
        ("sbatch -d afterok:12 job.sh", (OK,)),
        ("sbatch -dafterok:12 job.sh", (OK,)),
        ("sbatch --depend=afterok:12 job.sh", (OK,)),
        ("srun -n 4 -d afterok:12 ./program", (OK,)),
        ("sbatch -d afterok:1 --dependency=afterany:12 job.sh", (ANY,)),
        ("sbatch job.sh", ()),
        ("sbatch --deadline=afterok:12 job.sh", ()),
        ("sbatch --wrap sleep 5 -d afterok:12", ()),
        ("sbatch --wrap=sleep -d afterok:12", ()),
        ("sbatch job.sh -d 12", ()),
        ("sbatch -d", ()),
        ("sbatch --dependency=", ()),
        ("", ()),
        ("sbatch --dependency=afterok:12\nafterok:13", (OK,)),
    ],
)
def test_the_last_option_of_the_command_counts(line: str, expected: tuple[Dependency, ...]) -> None:
    assert submitted_dependencies(line) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("afterok:1:2", [("afterok", JobId(1), 0), ("afterok", JobId(2), 0)]),
        ("afterok:1,afternotok:2", [("afterok", JobId(1), 0), ("afternotok", JobId(2), 0)]),
        ("afterok:1?afterany:2", [("afterok", JobId(1), 0), ("afterany", JobId(2), 0)]),
        ("after:1+10:2", [("after", JobId(1), 10), ("after", JobId(2), 0)]),
        ("aftercorr:7_3", [("aftercorr", JobId(7, array_task=3), 0)]),
        ("AFTEROK:1", [("afterok", JobId(1), 0)]),
        ("singleton", [("singleton", None, 0)]),
        ("singleton,afterok:1", [("singleton", None, 0), ("afterok", JobId(1), 0)]),
        ("afterok:1:1", [("afterok", JobId(1), 0)]),
        ("afterok:$JOB", []),
        ("afterok:1+", []),
        ("afterok", []),
        ("before:1", []),
        ("afterok:99999999999", []),
        ("'; DROP TABLE x; --", []),
    ],
)
def test_conditions(text: str, expected: list[tuple[str, JobId | None, int]]) -> None:
    assert [(each.type, each.job, each.minutes) for each in parse_dependency(text)] == expected


@given(st.lists(st.tuples(st.sampled_from(["afterok", "afterany"]), st.integers(1, 2**32 - 1)), min_size=1, max_size=9))
def test_what_is_written_is_read(conditions: list[tuple[str, int]]) -> None:
    line = "sbatch --dependency=" + ",".join(f"{kind}:{job}" for kind, job in conditions) + " job.sh"
    expected = dict.fromkeys(Dependency(kind, JobId(job)) for kind, job in conditions)
    assert submitted_dependencies(line) == tuple(expected)


@given(st.text() | st.text("-dafterok:=,?+ 0123456789_"))
def test_any_text_is_read_without_an_error_and_in_bounds(text: str) -> None:
    assert len(submitted_dependencies(text)) <= MAX_DEPENDENCIES
