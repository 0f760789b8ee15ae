import json
from dataclasses import fields
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.view import NO_USE, Efficiency, GpuUse, JobUse
from aggregator.state.summary import VERSION, from_json, to_json

numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)
counts = st.none() | st.integers(0, 2**53)
known = st.floats(allow_nan=False, allow_infinity=False)
gpu_uses = st.builds(
    GpuUse, coverage=known, observed=counts, busy=counts, judged=known, utilization=numbers, memory_bytes=numbers
)
uses = st.builds(JobUse, **{f.name: numbers for f in fields(JobUse) if f.name != "gpu"}, gpu=st.none() | gpu_uses)
efficiencies = st.builds(Efficiency, **{f.name: numbers for f in fields(Efficiency)})
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | known | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["use", "gpu", "efficiency", "cpus", "x"]), inner),
)


@given(uses, efficiencies)
def test_what_was_written_is_read(use: JobUse, efficiency: Efficiency) -> None:
    assert from_json(to_json(use, efficiency)) == (use, efficiency)


@given(anything)
def test_any_json_is_read(stored: object) -> None:
    use, efficiency = from_json(json.dumps(stored))

    assert isinstance(use, JobUse)
    assert isinstance(efficiency, Efficiency)


def test_json_says_its_version() -> None:
    assert json.loads(to_json(NO_USE, Efficiency()))["version"] == VERSION


def test_fields_of_a_newer_version_are_ignored() -> None:
    text = '{"version": 99, "use": {"cpus": 2.0, "watts": 7}, "efficiency": {"cpu": 0.5, "net": {}}, "cost": 1}'

    assert from_json(text) == (JobUse(cpus=2.0), Efficiency(cpu=0.5))


def test_missing_fields_are_not_known() -> None:
    assert from_json('{"version": 1}') == (NO_USE, Efficiency())
    assert from_json('{"use": {"cpus": "many", "gpu": 3}}') == (NO_USE, Efficiency())


def test_gpu_without_coverage_was_not_seen() -> None:
    use, _ = from_json('{"use": {"gpu": {"busy": 1}}}')

    assert use.gpu == GpuUse(coverage=0.0, busy=1)


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_what_is_not_finite_is_not_known(value: float) -> None:
    written = to_json(JobUse(cpus=value, threads=1.0, gpu=GpuUse(coverage=value)), Efficiency(cpu=value))

    assert from_json(written) == (JobUse(threads=1.0, gpu=GpuUse(coverage=0.0)), Efficiency())


def test_what_is_not_json_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        from_json("nothing")
