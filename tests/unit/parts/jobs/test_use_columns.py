"""What runs use, in columns: the same numbers as the first edition's objects give."""

import polars as pl
from hypothesis import given

from aggregator.join.use import carry_over, use_by_run
from aggregator.model.accounting import Run
from aggregator.model.use import Base, Use
from aggregator.model.view import NO_USE, JobUse
from aggregator.parts.jobs.inputs import BASES
from aggregator.parts.jobs.use import USE, use_of_runs
from tests.unit.parts.jobs.objects import bases_frame, known, runs_frame, use_frames, use_row, use_table
from tests.unit.parts.jobs.sites import bases, runs, uses

_PREVIOUS = {1: JobUse(cpus=3.0, memory_bytes=5.0), 9: JobUse(cpus=1.0)}


@given(runs(), uses(), bases())
def test_columns_say_of_every_run_what_objects_say(found: list[Run], use: Use, of: dict[int, Base]) -> None:
    expected = carry_over(_PREVIOUS, found, use_by_run(found, use, of))
    frame = use_of_runs(runs_frame(found), use_frames(use), bases_frame(of), use_table(_PREVIOUS))
    rows = {row.pop("run_id"): row for row in frame.to_dicts()}
    assert len(rows) == frame.height, "no run twice"
    assert rows.keys() <= {run.run_id for run in found}
    for run in found:
        row = rows.get(run.run_id, {})
        said = {name: value for name, value in row.items() if value is not None}
        assert said == known(use_row(expected.get(run.run_id, NO_USE))), run


def test_no_run_at_all_has_no_row() -> None:
    frame = use_of_runs(runs_frame([]), use_frames(Use(0.0)), pl.DataFrame(schema=BASES), pl.DataFrame(schema=USE))
    assert frame.schema == USE
    assert frame.is_empty()
