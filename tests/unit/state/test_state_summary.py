import json
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.parts.jobs.kept import KEPT
from aggregator.state.summary import VERSION, from_json, to_json

COUNTS = ("gpus_observed", "gpus_busy")
NOTHING: dict[str, Any] = dict.fromkeys(name for name in KEPT if name != "run_id")
OF_GPUS = ("gpu_coverage_ratio", "gpus_judged", "gpu_utilization_ratio", "gpu_memory_used_bytes", *COUNTS)
known = st.floats(allow_nan=False, allow_infinity=False)
counts = st.none() | st.integers(0, 2**53).map(float)
rows = st.fixed_dictionaries({name: counts if name in COUNTS else st.none() | known for name in NOTHING})
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | known | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["use", "gpu", "efficiency", "cpus", "x"]), inner),
)


def sound(row: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is not known; without a coverage nothing is known of GPUs, with one how many are judged."""
    seen = row["gpu_coverage_ratio"] is not None
    of_gpus = {"gpus_judged": row["gpus_judged"] or 0.0} if seen else dict.fromkeys(OF_GPUS)
    return {name: value for name, value in {**row, **of_gpus}.items() if value is not None}


@given(rows)
def test_what_was_written_is_read(row: dict[str, Any]) -> None:
    assert from_json(to_json(row)) == sound(row)


@given(anything)
def test_any_json_is_read(stored: object) -> None:
    assert from_json(json.dumps(stored)).keys() <= NOTHING.keys()


def test_the_text_is_the_one_that_older_services_read_and_write() -> None:
    row = {
        **NOTHING, "used_cpus": 3.5, "cpu_coverage_ratio": 1.0, "gpu_coverage_ratio": 0.75, "gpus_busy": 2.0,
        "gpus_judged": 3.0, "cpu_efficiency_ratio": 0.875, "wasted_gpus": 1.25,
    }  # fmt: skip
    assert to_json(row) == (
        '{"version":1,"use":{"cpus":3.5,"cpu_seconds":null,"memory_bytes":null,"memory_peak_bytes":null,'
        '"threads":null,"observed_seconds":null,"cpu_coverage":1.0,"memory_coverage":null,"gpu":{"coverage":0.75,'
        '"observed":null,"busy":2,"judged":3.0,"utilization":null,"memory_bytes":null}},"efficiency":{"cpu":0.875,'
        '"memory":null,"time_limit_used":null,"wasted_cpus":null,"wasted_memory_bytes":null,"wasted_gpus":1.25,'
        '"wasted_cpu_seconds":null,"wasted_gpu_seconds":null,"allocated_gpu_units":null,"wasted_gpu_units":null,'
        '"wasted_gpu_unit_seconds":null,"observed":null}}'
    )


def test_json_says_its_version() -> None:
    assert json.loads(to_json(NOTHING))["version"] == VERSION


def test_fields_of_a_newer_version_are_ignored() -> None:
    text = '{"version": 99, "use": {"cpus": 2.0, "watts": 7}, "efficiency": {"cpu": 0.5, "net": {}}, "cost": 1}'

    assert from_json(text) == {"used_cpus": 2.0, "cpu_efficiency_ratio": 0.5}


def test_missing_fields_are_not_known() -> None:
    assert from_json('{"version": 1}') == {}
    assert from_json('{"use": {"cpus": "many", "gpu": 3}}') == {}


def test_gpu_without_coverage_was_not_seen() -> None:
    read = from_json('{"use": {"gpu": {"busy": 1}}}')

    assert read == {"gpu_coverage_ratio": 0.0, "gpus_judged": 0.0, "gpus_busy": 1.0}


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_what_is_not_finite_is_not_known(value: float) -> None:
    row = {"used_cpus": value, "running_threads": 1.0, "gpu_coverage_ratio": value, "cpu_efficiency_ratio": value}

    read = from_json(to_json({**NOTHING, **row}))

    assert read == {"running_threads": 1.0, "gpu_coverage_ratio": 0.0, "gpus_judged": 0.0}


def test_what_is_not_json_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        from_json("nothing")
