"""What both editions read, by name."""

from collections.abc import Mapping

from tests.differential.bench import Input
from tests.differential.inputs.demo import demo
from tests.differential.inputs.exporters import exporters
from tests.differential.inputs.releases import releases
from tests.differential.inputs.simulated import simulated

INPUTS: Mapping[str, Input] = {"demo": demo, "releases": releases, "exporters": exporters, "simulated": simulated}
