"""docs/exporters.md: what it says to write in the configuration is read, and brings what it says."""

import re

import pytest
import yaml

from aggregator.config import parse
from aggregator.sources.prometheus.catalogue import PROVIDERS, in_order
from tests.contract.named_tests import ROOT

PAGE = (ROOT / "docs" / "exporters.md").read_text()
SITE = {"slurmacct": {"host": "localhost", "user": "u"}, "prometheus": {"url": "http://p:9090"}}
SET_UPS = {
    title: next(block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if block.startswith("exporters:"))
    for title, text in re.findall(r"\n## ([^\n]+)\n(.*?)(?=\n## |\Z)", PAGE, re.DOTALL)
}


@pytest.mark.parametrize("written", SET_UPS.values(), ids=SET_UPS)
def test_each_set_up_is_a_good_configuration_that_brings_cpus_memory_and_gpus(written: str) -> None:
    config = parse(yaml.safe_dump({"clusters": {"narval": {**SITE, **yaml.safe_load(written)}}}))
    assert config.warnings == ()
    used = config.clusters["narval"].exporters.in_use
    assert [kind for kind in ("cpus", "memory", "gpus") if not in_order(kind, used)] == []


def test_every_exporter_of_jobs_is_in_a_set_up() -> None:
    shown = {name for written in SET_UPS.values() for name in yaml.safe_load(written)["exporters"]}
    assert PROVIDERS.keys() <= shown
