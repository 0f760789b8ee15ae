import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.jobid import JobId, JobIdError, parse_job_id

UINT32 = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize(
    ("text", "job_id"),
    [
        ("123", JobId(123)),
        ("123_4", JobId(123, array_task=4)),
        ("123_0", JobId(123, array_task=0)),
        ("123+1", JobId(123, het_offset=1)),
        ("4294967295", JobId(2**32 - 1)),
    ],
)
def test_the_three_forms_are_read(text: str, job_id: JobId) -> None:
    assert parse_job_id(text) == job_id


@pytest.mark.parametrize(
    "text",
    ["", " 123", "123 ", "123\n", "-1", "+1", "1_", "_1", "1+", "1_2_3", "1_2+3", "1.batch", "1_[1-4]", "4294967296",
     "1_4294967296", "12345678901", "٣", "1e3", "0x1", "1;DROP TABLE", "９"],
)  # fmt: skip
def test_anything_else_is_refused_and_shown(text: str) -> None:
    with pytest.raises(JobIdError, match=r"must be like 123, 123_4 or 123\+1"):
        parse_job_id(text)


@given(st.text(max_size=30))
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        parsed = parse_job_id(text)
    except JobIdError as error:
        assert len(str(error)) < 300
    else:
        assert parsed.array_task is None or parsed.het_offset is None


@given(UINT32, UINT32, st.integers(0, 99_999))
def test_written_forms_are_read_back(job_id: int, task: int, offset: int) -> None:
    assert parse_job_id(f"{job_id}") == JobId(job_id)
    assert parse_job_id(f"{job_id}_{task}") == JobId(job_id, array_task=task)
    assert parse_job_id(f"{job_id}+{offset}") == JobId(job_id, het_offset=offset)
