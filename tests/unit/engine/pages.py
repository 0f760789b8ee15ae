"""The page of a layout within a budget, as Prometheus reads it; and how tests declare tables."""

import gzip
import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from aggregator.engine.column import Column, DType, Family, Sample
from aggregator.engine.exposition import Folded
from aggregator.engine.frame import Frames
from aggregator.engine.part import Layout

KEYS: Final = {"slurmjobid": "id", "user": "user"}
OTHER: Final = ("_other", "_other")
_SAMPLE: Final = re.compile(r"(\w+)\{(.*)\} (\S+)")
# Family → (id, user, own labels …) → value.
Page = Mapping[str, Mapping[tuple[str, ...], float]]


def column(name: str, dtype: DType, sample: Sample | None = None) -> Column:
    return Column(name=name, dtype=dtype, help="Some.", sample=sample)


def family(name: str, **more: Any) -> Family:
    return Family(name=f"hpc_job_{name}", help="Some.", cost="jobs", source="a test", **more)


def page_of(layout: Layout, frames: Frames, limit: int, before: Folded | None = None) -> tuple[Page, Folded]:
    """Write the page; each series is there once."""
    folded = layout.fold(frames, {"jobs": limit}, before or Folded())
    page: defaultdict[str, dict[tuple[str, ...], float]] = defaultdict(dict)
    for member in layout.render("narval", folded.frames, folded.rests).values():
        lines = gzip.decompress(b"".join(member.pieces)).decode().splitlines()
        assert len(lines) == member.series
        for line in lines:
            match = _SAMPLE.fullmatch(line)
            assert match, line
            key = tuple(re.findall(r'="(.*?)"', match[2]))[1:]
            assert key not in page[match[1]], f"{line}: twice"
            page[match[1]][key] = float(match[3])
    return page, folded


def shown_ids(page: Page, name: str = "hpc_job_cpus") -> set[str]:
    """Give the jobs that have a series of their own."""
    return {key[0] for key in page.get(name, {})} - {"_other"}
