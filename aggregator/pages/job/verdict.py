"""What is said of a run first: one sentence, and what it comes to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from aggregator.pages.job.amounts import wasted
from aggregator.pages.language import Language
from aggregator.pages.numbers import Numbers
from aggregator.pages.words import because_of

Row = Mapping[str, Any]
Tone = Literal["bad", "warn", "good", "unknown"]
_TONES: Final[Mapping[str, Tone]] = {"critical": "bad", "warning": "warn"}
_WAITS: Final = "pending"
# Less is not worth a word.
_SECONDS, _JOULES, _MONEY = 60.0, 36_000.0, 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A sentence, the less important ones, what was wasted in several units, and what it will be by the end."""

    tone: Tone
    sentence: str
    more: Sequence[str] = ()
    amounts: Sequence[str] = ()
    outlook: str = ""
    fixes: Sequence[str] = ()
    is_found: bool = False


def verdict_of(run: Row, language: Language) -> Verdict:
    """Say how a run is judged."""
    numbers = Numbers(language)
    sentence, *more = [_sentence(run, each, numbers) for each in run["waste"]] or [_without_finding(run, numbers)]
    return Verdict(
        tone=_tone(run),
        sentence=sentence,
        more=more,
        amounts=_amounts(run, numbers),
        outlook=_outlook(run, numbers) if run["waste"] else "",
        fixes=[each["fix"] for each in run["waste"] if each["fix"]],
        is_found=bool(run["waste"]),
    )


def _tone(run: Row) -> Tone:
    if run["waste"]:
        return _TONES.get(run["waste"][0]["severity"], "warn")
    return "unknown" if run["not_judged"] or run["state"] != "running" else "good"


def _reason(run: Row) -> str:
    """Say why a rule was not applied, the first one: what it could have found is not known. "" where all were."""
    return next((each["because"] for each in run["not_judged"]), "")


def _is_in_part(run: Row) -> bool:
    """Tell whether some rules could be applied: what it uses of one resource is known, of another it is not."""
    is_known = any(run[f"{name}_efficiency_ratio"] is not None for name in ("cpu", "gpu", "memory"))
    return is_known and all(each["rule"] is not None for each in run["not_judged"])


def _without_finding(run: Row, numbers: Numbers) -> str:
    _ = numbers.language
    if run["state"] == _WAITS:
        return _("It is waiting: nothing is used yet.")
    if run["state"] != "running":
        return _ended(run, numbers)
    if because := _reason(run):
        if _is_in_part(run):
            return _("Nothing is found, but not all of it is judged: %(reason)s.", reason=because_of(because, _))
        return _("Not judged, because %(reason)s.", reason=because_of(because, _))
    return _("Nothing that it holds is wasted, as far as it is observed.")


def _ended(run: Row, numbers: Numbers) -> str:
    """Say what an ended run has used: rules are for running ones."""
    _ = numbers.language
    cpu, gpu, memory = (run[f"{name}_efficiency_ratio"] for name in ("cpu", "gpu", "memory"))
    used = []
    if gpu is not None and run["granted_gpus"]:
        used.append(_("%(share)s of its GPU time", share=numbers.percent(gpu)))
    if cpu is not None:
        used.append(_("%(share)s of its CPU time", share=numbers.percent(cpu)))
    if memory is not None:
        used.append(_("%(share)s of its memory", share=numbers.percent(memory)))
    if used:
        return _("It has ended, and used %(shares)s.", shares=_join(used, _))
    return _("Not judged, because it has ended and what it used was not kept.")


def _join(texts: Sequence[str], _: Language) -> str:
    if len(texts) == 1:
        return texts[0]
    return _("%(first)s and %(last)s", first=", ".join(texts[:-1]), last=texts[-1])


def _sentence(run: Row, finding: Row, numbers: Numbers) -> str:
    """Say what a rule has found with the run's numbers; the rule's own words where it is a site's."""
    say = _SENTENCES.get(finding["reason"])
    return say(run, finding, numbers) if say else numbers.language(finding["message"])


def _gpu_unused(run: Row, finding: Row, numbers: Numbers) -> str:
    return numbers.language.ngettext(
        "Its GPU has not been used for %(time)s.", "None of its %(n)s GPUs has been used for %(time)s.",
        run["granted_gpus"], time=numbers.duration(finding["value"]),
    )  # fmt: skip


def _gpu_partly_unused(run: Row, finding: Row, numbers: Numbers) -> str:
    busy, held, _ = run["gpus_busy"], run["granted_gpus"], numbers.language
    since = numbers.duration(finding["value"])
    if busy is None or busy >= held:
        return _("At any time in %(time)s at least one of its %(held)s GPUs has been idle.", time=since, held=held)
    return _.ngettext(
        "Of its %(held)s GPUs %(n)s is idle now, and at least one has been for %(time)s.",
        "Of its %(held)s GPUs %(n)s are idle now, and at least one has been for %(time)s.",
        round(held - busy), time=since, held=held,
    )  # fmt: skip


def _gpu_low(run: Row, finding: Row, numbers: Numbers) -> str:
    return numbers.language.ngettext(
        "Its GPU is used at %(share)s.", "Its %(n)s GPUs are used at %(share)s.", run["granted_gpus"],
        share=numbers.percent(finding["value"]),
    )  # fmt: skip


def _cpu_serial(run: Row, finding: Row, numbers: Numbers) -> str:
    return numbers.language.ngettext(
        "It keeps %(used)s of its CPU busy.", "It keeps %(used)s of its %(held)s CPUs busy.", run["granted_cpus"],
        used=numbers.number(finding["value"]), held=numbers.count(run["granted_cpus"]),
    )  # fmt: skip


def _cpu_low(run: Row, finding: Row, numbers: Numbers) -> str:
    return numbers.language.ngettext(
        "It uses %(share)s of the time of its CPU.", "It uses %(share)s of the time of its %(held)s CPUs.",
        run["granted_cpus"], share=numbers.percent(finding["value"]), held=numbers.count(run["granted_cpus"]),
    )  # fmt: skip


def _memory(run: Row, finding: Row, numbers: Numbers) -> str:
    _ = numbers.language
    return _("It has never used more than %(share)s of its %(held)s of memory.",
             share=numbers.percent(finding["value"]), held=numbers.size(run["granted_memory_bytes"]))  # fmt: skip


_SENTENCES: Final[Mapping[str, Callable[[Row, Row, Numbers], str]]] = {
    "gpu_unused": _gpu_unused, "gpu_partly_unused": _gpu_partly_unused, "gpu_low_utilization": _gpu_low,
    "cpu_serial": _cpu_serial, "cpu_low": _cpu_low, "memory_overrequested": _memory,
}  # fmt: skip


def _amounts(run: Row, numbers: Numbers) -> list[str]:
    """Write what was held and not used so far, in the units in which people count."""
    lost = wasted(run)
    return [
        *([numbers.gpu_hours(run["wasted_gpu_seconds"])] if _is_worth(run["wasted_gpu_seconds"], _SECONDS) else []),
        *([numbers.cpu_hours(run["wasted_cpu_seconds"])] if _is_worth(run["wasted_cpu_seconds"], _SECONDS) else []),
        *([numbers.energy(lost.joules)] if _is_worth(lost.joules, _JOULES) else []),
        *([f"{numbers.grams(lost.grams)} CO₂"] if _is_worth(lost.grams, 1.0) else []),
        *([numbers.money(lost.money, lost.currency)] if _is_worth(lost.money, _MONEY) else []),
    ]


def _is_worth(amount: float | None, least: float) -> bool:
    return amount is not None and amount >= least


def _outlook(run: Row, numbers: Numbers) -> str:
    """Say what it will have wasted when it runs on like this until its time limit."""
    _ = numbers.language
    if run["state"] != "running" or run["time_limit_seconds"] is None or run["elapsed_seconds"] is None:
        return ""
    left = max(0.0, run["time_limit_seconds"] - run["elapsed_seconds"])
    for name, write in (("gpu", numbers.gpu_hours), ("cpu", numbers.cpu_hours)):
        rate, so_far = run[f"wasted_{name}s"], run[f"wasted_{name}_seconds"]
        if rate and so_far is not None:
            return _("At this rate until its time limit: %(amount)s.", amount=write(so_far + rate * left))
    return ""
