"""Values that cannot work are refused, and the message names the property."""

import pytest

from tests.deploy import tools
from tests.deploy.chart import CHART, render

REFUSED = {
    # what is set → (the properties that the message names)
    "bogus=1": ["bogus"],
    "service.prt=1": ["service", "prt"],
    "config.cluster.a=1": ["config", "cluster"],
    "replicaCount=two": ["replicaCount"],
    "replicaCount=2": ["replicaCount", "config.state.url"],
    "serviceMonitor.enabled=1": ["serviceMonitor", "enabled"],
    "podSecurityContext.runAsUser=0": ["podSecurityContext", "runAsUser"],
    "image.tag=latest": ["image", "tag"],
    "config.auth=null": ["config.auth"],
    "config.auth.anonymous={metrics}": ["config.auth.anonymous"],
    "config.clusters=null": ["config.clusters"],
    "config.server.listen_address=:80": ["config.server.listen_address"],
    "config.state.url=sqlite:////tmp/state.db": ["config.state.url"],
    "config.state.url=mysql://u:p@db/state": ["config.state.url"],
    "config.state.url=oracle://db/state": ["config.state.url"],
    "config.clusters.narval.slurmacct.password=x": ["config", "password_file"],
    "networkPolicy.enabled=true": ["networkPolicy.ingressFrom"],
    "existingConfigMap=mine,replicaCount=2": ["replicaCount", "existingConfigMap"],
    "persistence.enabled=true,config.state.url=mysql://db/state": ["persistence.enabled"],
}


def _default(helm: str, values: str) -> tuple[int, str]:
    result = render(helm, "--values", str(CHART / "ci" / "default-values.yaml"), "--set", values)
    return result.returncode, result.stderr


@pytest.mark.parametrize("helm", tools.HELMS)
@pytest.mark.parametrize("values", REFUSED)
def test_refused_values_are_named(helm: str, values: str) -> None:
    code, message = _default(helm, values)
    assert code != 0
    # One helm writes service.port, the other /service/port.
    message = message.replace("/", ".")
    assert [name for name in REFUSED[values] if name not in message] == [], message


@pytest.mark.parametrize("values", ["existingConfigMap=mine", "replicaCount=2,config.state.url=postgresql://db/state"])
def test_their_neighbours_are_accepted(values: str) -> None:
    code, message = _default("helm4", values)
    assert code == 0, message


def test_the_values_of_the_chart_alone_are_refused() -> None:
    """There is no site without a cluster or a file system."""
    result = render("helm4")
    assert result.returncode != 0
    assert "config.clusters" in result.stderr
