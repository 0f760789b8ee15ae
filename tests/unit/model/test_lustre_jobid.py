"""What Lustre's clients write into jobid: the proxy's cases, the site's own forms, and what nobody can understand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.lustre_jobid import UNKNOWN, JobIdNameError, JobIdParser, Sender, compile_name

USUAL = JobIdParser()


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("4711003", Sender(job_id=4711003)),
        ("rsync.20017", Sender(uid=20017)),
        ("python3.8.20017", Sender(uid=20017)),
        ("bash.20017:node12", Sender(uid=20017)),
        ("kworker/0:1.0", Sender(uid=0)),
        (".0", Sender(uid=0)),
    ],
)
def test_the_usual_forms_are_a_jobs_number_and_a_process_with_its_uid(text: str, origin: Sender) -> None:
    assert USUAL.parse(text) == origin


@pytest.mark.parametrize(
    "text",
    ["", "rsync", "a,b", "4711003:node12", "4711_3", "0", "4294967296", "rsync.4294967296", "rsync.", "٤٧١١", "-1",
     " 4711", "4711\n", "9" * 5000, "x.1" * 50],
)  # fmt: skip
def test_what_is_no_usual_form_is_unknown_and_never_somebody_elses(text: str) -> None:
    assert USUAL.parse(text) == UNKNOWN


@pytest.mark.parametrize(
    ("name", "text", "origin"),
    [
        ("%j:%H", "4711003:node12", Sender(job_id=4711003)),
        ("%j:%H", ":node12", UNKNOWN),
        ("%u", "20017", Sender(uid=20017)),
        ("%e.%u.%j", "rsync.20017.4711", Sender(job_id=4711)),
        ("%e.%u.%j", "rsync.20017.", Sender(uid=20017)),
        ("job(%j)", "job(4711)", Sender(job_id=4711)),
        ("job(%j)", "rsync.20017", Sender(uid=20017)),
    ],
)
def test_a_sites_own_form_goes_before_the_usual_ones(name: str, text: str, origin: Sender) -> None:
    assert JobIdParser([name]).parse(text) == origin


@pytest.mark.parametrize("name", ["", "%e", "%j:%j", "%j%", "%j.%x", "plain", "%e%e.%u"])
def test_a_form_that_tells_nobody_apart_or_has_unknown_codes_is_refused(name: str) -> None:
    with pytest.raises(JobIdNameError, match="must have"):
        compile_name(name)


@given(st.text(), st.sampled_from(["%j:%H", "%e.%u", "%u", "%H.%e:%j.%h.%u", "%p-%g-%j"]))
def test_any_text_is_understood_or_unknown(text: str, name: str) -> None:
    origin = JobIdParser([name]).parse(text)
    assert origin.job_id is None or 0 < origin.job_id < 2**32
    assert origin.uid is None or 0 <= origin.uid < 2**32
    assert origin.job_id is None or origin.uid is None


@given(st.integers(1, 2**32 - 1), st.text("abc.:-/0"))
def test_every_job_id_and_every_uid_is_found_again(number: int, process: str) -> None:
    assert USUAL.parse(str(number)) == Sender(job_id=number)
    assert USUAL.parse(f"{process}.{number}") == Sender(uid=number)
