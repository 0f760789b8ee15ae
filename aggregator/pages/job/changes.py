"""The sentences that say what the lines to change rest on."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from aggregator.join.request import QUANTILE
from aggregator.pages.language import Language
from aggregator.pages.numbers import Numbers

Row = Mapping[str, Any]


def why_of(advice: Row, language: Language) -> list[str]:
    """Say what the lines to change rest on; nothing where there are none."""
    return list(_why(advice, language)) if advice["changes"] else []


def _why(advice: Row, _: Language) -> Iterator[str]:
    changes = {each["resource"]: each for each in advice["changes"]}
    if advice["runs"] > 1:
        yield _(
            "From this run and earlier ones of its name: %(fitted)s of %(runs)s would have fitted "
            "(%(quantile)s quantile and a margin).",
            fitted=advice["fitted"], runs=advice["runs"], quantile=Numbers(_).percent(QUANTILE),
        )  # fmt: skip
    elif advice["runs"]:
        yield _("From this run alone: no earlier run of its name has its use kept.")
    if "gpus" in changes:
        used = math.ceil(changes["gpus"]["used"])
        some = _.ngettext("It has used %(n)s GPU so far.", "It has used %(n)s GPUs so far.", used)
        yield some if used else _("It has used no GPU so far.")
    if "memory" in changes:
        yield _("Too little memory ends a job: keep a margin if your inputs grow.")
