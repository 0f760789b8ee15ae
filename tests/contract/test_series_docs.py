"""docs/series.md names every series that is asked for."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from aggregator.config.exporter import Exporters
from aggregator.sources.prometheus.exporters import (
    gpu_exporters,
    lustre_exporter,
    named_gpus,
    node_exporter,
    redfish_exporter,
    slurm_exporter,
    slurm_job_exporter,
)
from aggregator.sources.prometheus.exporters.needed import NEEDED
from aggregator.sources.prometheus.inputs import ExporterSettings, Input
from tests.contract.series_page import series_page

PAGE = Path(__file__).parents[2] / "docs" / "series.md"
INPUTS: dict[str, tuple[object, ...]] = {
    "slurm_job_exporter": (slurm_job_exporter,),
    "slurm_exporter": (slurm_exporter,),
    "node_exporter": (node_exporter,),
    "lustre_exporter": (lustre_exporter,),
    "lustre_exporter_slurm": (lustre_exporter.INPUTS,),
    "redfish_exporter": (redfish_exporter.node_watts(ExporterSettings(), "mean"),),
    "dcgm_exporter": (gpu_exporters.DCGM, named_gpus.NOW["dcgm_exporter"], named_gpus.WINDOW["dcgm_exporter"]),
    "nvidia_gpu_exporter": (
        gpu_exporters.NVIDIA, named_gpus.NOW["nvidia_gpu_exporter"], named_gpus.WINDOW["nvidia_gpu_exporter"]
    ),
}  # fmt: skip


def inputs(value: object) -> Iterator[Input]:
    if isinstance(value, Input):
        yield value
    elif isinstance(value, ModuleType):
        for each in vars(value).values():
            yield from inputs(each) if isinstance(each, Input | tuple) else ()
    elif isinstance(value, tuple):
        for each in value:
            yield from inputs(each)


def test_the_page_is_what_the_code_needs(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-golden"):
        PAGE.write_text(series_page())
    assert PAGE.read_text() == series_page(), "run pytest tests/contract --update-golden"


def test_every_exporter_that_can_be_configured_is_there() -> None:
    assert NEEDED.keys() == Exporters.model_fields.keys()
    assert all(any(need.always for need in needs) for needs in NEEDED.values())


@pytest.mark.parametrize("exporter", INPUTS)
def test_every_metric_that_is_read_of_an_exporter_is_needed(exporter: str) -> None:
    needed = {metric for need in NEEDED[exporter] for metric in need.metrics}
    read = [item for value in INPUTS[exporter] for item in inputs(value)]
    assert read
    assert {metric for item in read for metric in (item.metric, *item.beside.values())} - {"up"} <= needed
