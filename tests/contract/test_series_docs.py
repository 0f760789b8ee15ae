"""docs/series.md names every series that is asked for."""

import pytest

from aggregator.config.exporter import Exporters
from aggregator.sources.prometheus.catalogue import INPUTS, NEEDED, PROVIDERS


def test_every_exporter_that_can_be_configured_is_there() -> None:
    assert NEEDED.keys() == Exporters.model_fields.keys() | PROVIDERS.keys()
    assert all(any(need.always for need in needs) for needs in NEEDED.values())


# What these two lack besides is not known of single owners and instances only.
@pytest.mark.parametrize("exporter", sorted(INPUTS.keys() - {"libvirtd_exporter", "gpfs_exporter"}))
def test_every_metric_that_is_read_of_an_exporter_is_needed(exporter: str) -> None:
    needed = {metric for need in NEEDED[exporter] for metric in need.metrics}
    read = {metric.name for item in INPUTS[exporter] for metric in item.metrics.values()}
    assert read - {"up"} <= needed
