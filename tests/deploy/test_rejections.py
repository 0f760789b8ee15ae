"""Values that cannot work are refused, and the message names the property."""

import pytest

from tests.deploy import tools
from tests.deploy.chart import CHART, render

BASIC_AUTH = ",".join(
    f"serviceMonitor.basicAuth.{part}.{key}" for part in ("username", "password") for key in ("name=p", f"key={part}")
)
AUTHORIZATION = "serviceMonitor.authorization.credentials.name=p,serviceMonitor.authorization.credentials.key=token"
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
    "enabled=1": ["enabled"],
    "enabled=false": ["enabled", "condition"],
    "config.auth=null": ["config.auth"],
    "config.auth.anonymous={metrics}": ["config.auth.anonymous"],
    "config.clusters=null": ["config.clusters"],
    "config.server.listen_address=:80": ["config.server.listen_address"],
    "config.state.url=sqlite:////tmp/state.db": ["config.state.url"],
    "config.state.url=mysql://u:p@db/state": ["config.state.url"],
    "config.state.url=oracle://db/state": ["config.state.url"],
    "config.clusters.narval.slurmacct.password=x": ["config", "password_file"],
    "config.auth.oidc.client_secret=x": ["config", "client_secret_file"],
    "networkPolicy.enabled=true": ["networkPolicy.ingressFrom"],
    "existingConfigMap=mine,replicaCount=2": ["replicaCount", "existingConfigMap"],
    "persistence.enabled=true,config.state.url=mysql://db/state": ["persistence.enabled"],
    "web.tls=true": ["web.existingSecret", "web.tls"],
    "web.tls=yes": ["web", "tls"],
    "web.file=web.yml": ["web", "file"],
    "web.existingSecret=Web": ["web", "existingSecret"],
    "web.configKey=../web.yml": ["web", "configKey"],
    "tokens.existingSecret=t,config.auth.tokens.file=/etc/tokens.yml": [
        "config.auth.tokens.file",
        "hpc-aggregator-tokens.tokens.yml",
    ],
    "config.auth.tokens.file=/run/secrets/hpc-aggregator-tokens/tokens.yml": ["tokens.existingSecret"],
    "tokens.key=": ["tokens", "key"],
    "tokens.secret=t": ["tokens", "secret"],
    "serviceMonitor.enabled=true": ["config.auth.anonymous", "serviceMonitor.authorization"],
    "serviceMonitor.tlsConfig.insecureSkipVerify=true": ["serviceMonitor.tlsConfig", "web.tls"],
    "serviceMonitor.tlsConfig.caFile=/etc/ca.pem": ["serviceMonitor", "tlsConfig", "caFile"],
    "serviceMonitor.tlsConfig.ca.secret.name=ca": ["serviceMonitor", "tlsConfig", "ca", "key"],
    f"{BASIC_AUTH}": ["serviceMonitor.basicAuth", "web.existingSecret"],
    f"web.existingSecret=w,{BASIC_AUTH},{AUTHORIZATION},tokens.existingSecret=t": [
        "serviceMonitor.authorization",
        "serviceMonitor.basicAuth",
    ],
    "serviceMonitor.basicAuth.username.name=p,serviceMonitor.basicAuth.username.key=name": [
        "serviceMonitor",
        "basicAuth",
        "password",
    ],
    f"{AUTHORIZATION}": ["serviceMonitor.authorization", "tokens.existingSecret"],
    "serviceMonitor.authorization.credentials=secret": ["serviceMonitor", "authorization", "credentials"],
    "serviceMonitor.bearerTokenSecret.name=t": ["serviceMonitor", "bearerTokenSecret"],
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


@pytest.mark.parametrize(
    "values",
    [
        "existingConfigMap=mine",
        "replicaCount=2,config.state.url=postgresql://db/state",
        "web.existingSecret=w",
        "serviceMonitor.enabled=true,config.auth.anonymous={health,metrics}",
        "tokens.existingSecret=t,config.auth.tokens.file=/run/secrets/hpc-aggregator-tokens/tokens.yml",
        "config.auth.tokens.file=/etc/site/tokens.yml",
        f"serviceMonitor.enabled=true,web.existingSecret=w,{BASIC_AUTH}",
        f"serviceMonitor.enabled=true,tokens.existingSecret=t,{AUTHORIZATION}",
        f"existingConfigMap=mine,{AUTHORIZATION}",
    ],
)
def test_their_neighbours_are_accepted(values: str) -> None:
    code, message = _default("helm4", values)
    assert code == 0, message


def test_the_values_of_the_chart_alone_are_refused() -> None:
    """There is no site without a cluster, a file system or a cloud."""
    result = render("helm4")
    assert result.returncode != 0
    assert "config.clusters" in result.stderr
