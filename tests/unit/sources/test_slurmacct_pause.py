"""The pause while slurmdbd changes its tables."""

import pytest

from aggregator.sources.base import FetchError
from aggregator.sources.slurmacct.pause import FIRST_SECONDS, MAX_SECONDS, Pause

KEY = "clusters.narval.slurmacct"
CAUSE = FetchError(f"{KEY}: Table 'narval_job_table' doesn't exist")
WORDS = f"{KEY}: slurmdbd is changing its tables: Table 'narval_job_table' doesn't exist"


def paused(attempts: int) -> Pause:
    pause = Pause(KEY)
    for _ in range(attempts):
        pause.begin(CAUSE, 1000.0)
    return pause


def test_without_a_cause_nothing_is_held_back() -> None:
    Pause(KEY).check(0.0)
    Pause(KEY).check()


def test_the_words_are_the_same_at_every_attempt() -> None:
    """Each new text would be a line of the log."""
    pause = Pause(KEY)
    assert [str(pause.begin(CAUSE, at)) for at in (0.0, 30.0)] == [WORDS] * 2
    with pytest.raises(FetchError) as caught:
        pause.check(31.0)
    assert str(caught.value) == WORDS


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(1, FIRST_SECONDS), (2, 2 * FIRST_SECONDS), (3, 4 * FIRST_SECONDS), (50, MAX_SECONDS)]
)
def test_each_attempt_doubles_the_time_to_the_next_one_up_to_a_limit(attempts: int, seconds: float) -> None:
    pause = paused(attempts)
    for at in (1000.0, 1000.0 + seconds - 0.1):
        with pytest.raises(FetchError):
            pause.check(at)
    pause.check(1000.0 + seconds)


def test_a_read_on_demand_waits_until_a_fetch_has_succeeded() -> None:
    pause = paused(1)
    with pytest.raises(FetchError):
        pause.check()
    pause.end()
    pause.check()


def test_after_a_success_the_next_pause_is_short_again() -> None:
    pause = paused(50)
    pause.end()
    pause.begin(CAUSE, 2000.0)
    pause.check(2000.0 + FIRST_SECONDS)


def test_a_clock_that_is_set_back_does_not_prolong_the_pause() -> None:
    paused(50).check(999.0)
