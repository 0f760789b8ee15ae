"""How usage decays: as slurm.conf says it, and nothing that the roll-ups could not tell."""

import pytest

from aggregator.config import Config, ConfigError, parse
from aggregator.model.decay import Decay

DAY = 86_400.0


def read(priority: str) -> Config:
    return parse(
        "clusters: { narval: { slurmacct: { host: db1, user: u, priority: "
        + priority
        + " }, prometheus: { url: 'http://p:9090' } } }"
    )


def decay(priority: str) -> Decay:
    section = read(priority).clusters["narval"].slurmacct.priority
    assert section is not None
    return section.to_model()


@pytest.mark.parametrize(
    ("priority", "expected"),
    [
        ("{}", Decay(7 * DAY, "none")),
        ("{ decay_half_life: 14d }", Decay(14 * DAY)),
        ("{ decay_half_life: 0, usage_reset_period: quarterly }", Decay(0.0, "quarterly")),
        ("{ decay_half_life: 0s }", Decay(0.0)),
    ],
)
def test_it_is_as_slurm_spells_it_with_slurms_defaults(priority: str, expected: Decay) -> None:
    assert decay(priority) == expected


def test_without_the_section_nothing_is_known_of_it() -> None:
    config = parse("clusters: { a: { slurmacct: { host: d, user: u }, prometheus: { url: 'http://p' } } }")
    assert config.clusters["a"].slurmacct.priority is None


def test_it_is_shown_as_it_was_written() -> None:
    shown = read("{ decay_half_life: 0 }").model_dump(mode="json")["clusters"]["narval"]["slurmacct"]["priority"]
    assert shown == {"decay_half_life": "0s", "usage_reset_period": "none"}


@pytest.mark.parametrize(
    ("priority", "message"),
    [
        ("{ decay_half_life: 1h }", 'decay_half_life: must be 0s (no decay) or at least 1d, got "1h"'),
        ("{ decay_half_life: 7 }", "decay_half_life: must be a duration"),
        ("{ decay_half_life: 7-0 }", "decay_half_life: must be a duration"),
        ("{ decay_half_life: false }", "decay_half_life: must be a duration"),
        ("{ usage_reset_period: NOW }", "usage_reset_period: "),
        ("{ half_life: 7d }", "half_life"),
    ],
)
def test_what_slurm_does_not_know_or_roll_ups_do_not_tell_is_refused(priority: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(priority)
    assert message in str(error.value)
    assert "clusters.narval.slurmacct.priority." in str(error.value)
