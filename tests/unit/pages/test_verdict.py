"""What is said of a run first: nothing good of what nobody could judge, and no number of one thing in the plural."""

from typing import Any

import pytest

from aggregator.pages.job.verdict import verdict_of
from aggregator.pages.language import language

EN, FR = language("en"), language("fr")
DOWN = "the exporter of n1 is down"


def run(**values: Any) -> dict[str, Any]:
    unknown = dict.fromkeys((
        "cpu_efficiency_ratio", "gpu_efficiency_ratio", "memory_efficiency_ratio", "wasted_cpus", "wasted_gpus",
        "wasted_cpu_seconds", "wasted_gpu_seconds", "energy_joules_total", "gpu_energy_joules", "co2_grams_total",
        "time_limit_seconds", "elapsed_seconds",
    ))  # fmt: skip
    return {**unknown, "state": "running", "waste": [], "not_judged": [], "costs": [], "granted_gpus": 0, **values}


def finding(reason: str, value: float) -> dict[str, Any]:
    return {"reason": reason, "severity": "critical", "value": value, "message": "", "fix": ""}


def because(text: str, rule: str | None = "cpu_low") -> list[dict[str, Any]]:
    return [{"rule": rule, "because": text}]


def test_a_run_of_which_nothing_is_known_is_not_judged_and_never_called_good() -> None:
    said = verdict_of(run(not_judged=because(DOWN)), EN)
    assert (said.tone, said.sentence) == ("unknown", f"Not judged, because {DOWN}.")


def test_a_run_of_which_one_thing_is_known_says_what_could_not_be_judged() -> None:
    said = verdict_of(run(not_judged=because(DOWN), memory_efficiency_ratio=0.9), EN)
    assert (said.tone, said.sentence) == ("unknown", f"Nothing is found, but not all of it is judged: {DOWN}.")


def test_only_a_run_that_every_rule_was_applied_to_is_good() -> None:
    assert verdict_of(run(cpu_efficiency_ratio=0.9), EN).tone == "good"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (DOWN, "l’exportateur de n1 est en panne"),
        ("the exporters of n1, n2, n3 and 4 more are down", "les exportateurs de n1, n2, n3 and 4 more sont en panne"),
        ("it runs for 3 min, judged from 30 min", "elle dure depuis 3 min, jugée à partir de 30 min"),
        ("only 77 % of the GPU time was observed", "seuls 77 % du temps GPU ont été observés"),
        ("a reason of another release", "a reason of another release"),
    ],
)
def test_why_it_is_not_judged_is_said_in_the_readers_language(text: str, said: str) -> None:
    assert verdict_of(run(not_judged=because(text, None)), FR).sentence == f"Pas jugée : {said}."


@pytest.mark.parametrize(
    ("cpus", "english", "french"),
    [
        (1, "It uses 14% of the time of its CPU.", "Elle utilise 14 % du temps de son CPU."),
        (8, "It uses 14% of the time of its 8 CPUs.", "Elle utilise 14 % du temps de ses 8 CPU."),
    ],
)
def test_one_cpu_is_no_plural(cpus: int, english: str, french: str) -> None:
    found = run(waste=[finding("cpu_low", 0.14)], granted_cpus=cpus)
    said = [verdict_of(found, each).sentence.replace("\N{NO-BREAK SPACE}", " ") for each in (EN, FR)]
    assert said == [english, french]
