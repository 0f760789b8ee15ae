"""The lines of the script that a run could do with, and what they rest on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aggregator.join.request import LEAST_SECONDS, Change, Held, Wanted, changes, wanted
from aggregator.model.advice import QUANTILE
from aggregator.pages.job.like import used_of
from aggregator.pages.language import Language
from aggregator.pages.numbers import Numbers

Row = Mapping[str, Any]
_OF_GPUS: Final = ("gpu_unused", "gpu_partly_unused")


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Lines to change, and the sentences that say why."""

    lines: Sequence[Change] = ()
    why: Sequence[str] = ()


def changes_of(run: Row, like: Sequence[Row], script: str, busy: int | None, language: Language) -> Changes:
    """Say what would have been enough for this run and like ones; busy says how many GPUs it has ever used."""
    if not run["granted_cpus"] or not run["granted_nodes"]:
        return Changes()
    held = Held(
        cpus=run["granted_cpus"], memory=run["granted_memory_bytes"], gpus=run["granted_gpus"] or 0,
        nodes=run["granted_nodes"], time_limit=run["time_limit_seconds"],
    )  # fmt: skip
    is_old_enough = (run["elapsed_seconds"] or 0) >= LEAST_SECONDS
    runs = [used_of(each) for each in (*like, *([run] if is_old_enough else []))]
    is_found = any(each["reason"] in _OF_GPUS for each in run["waste"])
    better = wanted(held, [each for each in runs if _is_known(each)], busy if is_found else None)
    lines = changes(script, held, better)
    return Changes(lines=lines, why=list(_why(better, language))) if lines else Changes()


def _is_known(used: Any) -> bool:
    return used.cpus is not None or used.memory is not None or used.seconds is not None


def _why(better: Wanted, _: Language) -> list[str]:
    found = []
    if better.runs > 1:
        found.append(_(
            "From this run and earlier ones of its name: %(fitted)s of %(runs)s would have fitted "
            "(%(quantile)s quantile and a margin).",
            fitted=better.fitted, runs=better.runs, quantile=Numbers(_).percent(QUANTILE),
        ))  # fmt: skip
    elif better.runs:
        found.append(_("From this run alone: no earlier run of its name has its use kept."))
    if better.gpus is not None:
        some = _.ngettext("It has used %(n)s GPU so far.", "It has used %(n)s GPUs so far.", better.gpus)
        found.append(some if better.gpus else _("It has used no GPU so far."))
    if better.memory is not None:
        found.append(_("Too little memory ends a job: keep a margin if your inputs grow."))
    return found
