"""A job whose GPUs are busy and nearly empty is found where a site wants that, at the severity that it chooses."""

from pathlib import Path
from typing import Any

import pytest

from aggregator.config import active_rules, load_rules

from .scene import SHIPPED, found, make_scene, reasons

BUSY: dict[str, Any] = {"gpus": 2, "utilization": [1.0, 1.0]}
SEEN: dict[str, Any] = {"gpu_sm_occupancy_ratio": 0.02, "gpu_sm_occupancy_ratio_coverage_ratio": 1.0}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    file = tmp_path / "waste.yml"
    file.write_text(
        "rules:\n  gpu_low_occupancy:\n    enabled: true\n"
        "    critical: [{ field: gpu_sm_occupancy_ratio, operator: '<', threshold: 0.03 }]\n"
    )
    return file


def test_it_is_shipped_disabled() -> None:
    assert "gpu_low_occupancy" not in {rule.name for rule in SHIPPED}
    assert found(make_scene(**BUSY, **SEEN)) == {}


@pytest.mark.parametrize(("occupancy", "said"), [(0.02, "critical"), (0.03, "warning"), (0.05, None), (0.6, None)])
def test_busy_and_nearly_empty_gpus_are_found(site: Path, occupancy: float, said: str | None) -> None:
    rules = active_rules(load_rules(site))
    judged = make_scene(**BUSY, **{**SEEN, "gpu_sm_occupancy_ratio": occupancy}, rules=rules)
    assert found(judged) == ({"gpu_low_occupancy": said} if said else {})


def test_nobody_is_accused_of_what_no_exporter_shows(site: Path) -> None:
    judged = make_scene(**BUSY, rules=active_rules(load_rules(site)))
    assert found(judged) == {}
    assert reasons(judged) == {"gpu_low_occupancy": "no exporter shows the occupancy of its GPUs"}


def test_nor_where_only_some_nodes_show_it(site: Path) -> None:
    partly = {**SEEN, "gpu_sm_occupancy_ratio_coverage_ratio": 0.5}
    judged = make_scene(**BUSY, **partly, rules=active_rules(load_rules(site)))
    assert reasons(judged) == {"gpu_low_occupancy": "only 50 % of the nodes' GPUs was observed"}


def test_gpus_that_are_idle_are_not_called_empty_too(site: Path) -> None:
    judged = make_scene(gpus=1, utilization=[0.1], **SEEN, rules=active_rules(load_rules(site)))
    assert found(judged) == {"gpu_low_utilization": "critical"}
