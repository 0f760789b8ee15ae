"""What the chart renders, with both of the helms in use."""

import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import aggregator
from aggregator.cli import _parser
from aggregator.config import Config, ListenAddress, parse
from tests.deploy import tools
from tests.deploy.chart import CHART, CI, ROOT, ci, manifests, render, run_helm
from tests.lab.ports import free_port

each_ci = pytest.mark.parametrize("values", CI, ids=lambda path: path.stem)
each_helm = pytest.mark.parametrize("helm", tools.HELMS)
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
OPERATOR_KINDS = {"ServiceMonitor", "PrometheusRule"}


@each_ci
@each_helm
def test_the_chart_lints(helm: str, values: Path) -> None:
    result = run_helm(helm, "lint", "--strict", str(CHART), "--values", str(values))
    assert result.returncode == 0, result.stdout + result.stderr


@each_ci
def test_both_helms_render_the_same(values: Path) -> None:
    assert manifests("helm3", values) == manifests("helm4", values)


def _validate(folder: Path, packages: Path, script: str, kinds: Callable[[str], bool]) -> int:
    """Run a script on each manifest of these kinds, with the tool's packages and not ours; give how many there were."""
    known = [
        [values.stem, manifest]
        for values in CI
        for manifest in manifests("helm4", values).values()
        if kinds(manifest["kind"])
    ]
    (folder / "manifests.json").write_text(json.dumps(known))
    start = "import json, sys; sys.path.insert(0, sys.argv[1])\n"
    command = [sys.executable, "-I", "-c", start + script, str(packages), str(folder / "manifests.json")]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr
    assert len(result.stderr.splitlines()) == len(known)
    return len(known)


def test_every_manifest_is_valid_in_kubernetes(tmp_path: Path) -> None:
    script = """
import kubernetes_validate
for name, manifest in json.load(open(sys.argv[2])):
    print(name, manifest["kind"], file=sys.stderr)
    kubernetes_validate.validate(manifest, "1.31", strict=True)
"""
    assert _validate(tmp_path, tools.kubernetes_validate(), script, lambda kind: kind not in OPERATOR_KINDS) > 35


def test_every_manifest_of_the_prometheus_operator_is_valid(tmp_path: Path) -> None:
    """The operator's types drop the fields that they do not know: what they give back must be all of it."""
    script = """
from cloudcoil.models.prometheus_operator import v1
for name, manifest in json.load(open(sys.argv[2])):
    print(name, manifest["kind"], file=sys.stderr)
    read = getattr(v1, manifest["kind"]).model_validate(manifest)
    assert read.model_dump(mode="json", by_alias=True, exclude_unset=True) == manifest, read
"""
    assert _validate(tmp_path, tools.operator_models(), script, OPERATOR_KINDS.__contains__) == 4


def test_the_service_monitor_keeps_our_labels() -> None:
    rendered = ci("prometheus-operator")
    monitor = rendered["ServiceMonitor"]
    assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"] == {
        "selector": {"matchLabels": rendered["Service"]["spec"]["selector"]},
        "namespaceSelector": {"matchNames": ["hpc"]},
        "endpoints": [
            {
                "port": "http",
                "path": "/metrics",
                "scheme": "http",
                "interval": "60s",
                "scrapeTimeout": "10s",
                "honorLabels": True,
                "relabelings": [{"targetLabel": "job", "replacement": "hpc-aggregator"}],
                "authorization": {"credentials": {"name": "prometheus-hpc-aggregator", "key": "token"}},
            }
        ],
    }
    assert rendered["Service"]["spec"]["ports"][0]["name"] == "http"
    assert rendered["Service"]["metadata"]["labels"]["app.kubernetes.io/name"] == "hpc-aggregator"


def test_the_prometheus_rule_has_every_rule_of_the_project() -> None:
    files = [*sorted((ROOT / "rules/alerts").glob("*.yml")), *sorted((ROOT / "rules/recording").glob("*.yml"))]
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    assert ci("prometheus-operator")["PrometheusRule"]["spec"] == {"groups": groups}
    assert groups


def test_the_alerts_come_with_the_series_that_they_read() -> None:
    files = [*sorted((ROOT / "rules/alerts").glob("*.yml")), ROOT / "rules/recording/hpc.yml"]
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    values = CHART / "ci" / "prometheus-operator-values.yaml"
    rendered = render("helm4", "--values", str(values), "--set", "prometheusRule.recording=false")
    (rule,) = [each for each in yaml.safe_load_all(rendered.stdout) if each and each["kind"] == "PrometheusRule"]
    assert rule["spec"] == {"groups": groups}


def test_every_board_is_a_config_map_that_grafana_s_sidecar_finds() -> None:
    files = sorted((ROOT / "rules/dashboards").glob("*.json"))
    assert files
    for file in files:
        rendered = ci("prometheus-operator")[f"dashboard {file.stem}"]
        assert rendered["kind"] == "ConfigMap"
        assert rendered["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert rendered["metadata"]["annotations"] == {"grafana_folder": "HPC"}
        linked = file.read_text().replace("https://hpc.example.org/aggregator", "https://portal.example.org/hpc")
        assert rendered["data"] == {f"hpc-{file.name}": linked}
        assert len(json.dumps(rendered)) < 2**18, "what `kubectl apply` keeps of it"


def test_boards_need_the_address_of_the_service() -> None:
    values = ("--values", str(CHART / "ci" / "prometheus-operator-values.yaml"), "--set", "dashboards.serviceUrl=")
    assert "dashboards.serviceUrl: is needed" in render("helm4", *values).stderr
    rendered = render("helm4", *values, "--set", "config.server.external_url=https://own.example.org/")
    boards = [each for each in yaml.safe_load_all(rendered.stdout) if "-dashboard-" in each["metadata"]["name"]]
    assert all('"query": "https://own.example.org"' in text for each in boards for text in each["data"].values())


def test_what_is_not_enabled_is_not_rendered() -> None:
    assert set(ci("default")) == {"ConfigMap", "Deployment", "Pod", "Service", "ServiceAccount"}


@each_ci
def test_containers_may_do_nothing_that_they_need_not(values: Path) -> None:
    rendered = manifests("helm4", values)
    for pod in (rendered["Deployment"]["spec"]["template"]["spec"], rendered["Pod"]["spec"]):
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": True,
        }
    assert rendered["ServiceAccount"]["automountServiceAccountToken"] is False
    assert "Secret" not in rendered


@each_ci
def test_the_service_starts_with_the_config_map(values: Path, tmp_path: Path) -> None:
    rendered = manifests("helm4", values)
    data = rendered["ConfigMap"]["data"]
    for name, text in data.items():
        (tmp_path / name).write_text(text)
    text = re.sub(r"/run/secrets/hpc-aggregator(-tokens)?/|/etc/site/", f"{tmp_path}/", data["hpc-aggregator.yml"])
    for name in re.findall(rf"file: {re.escape(str(tmp_path))}/(\S+)", text):
        (tmp_path / name).write_text("secret\n")
        (tmp_path / name).chmod(0o440)
    config = parse(text, str(tmp_path / "hpc-aggregator.yml"))
    (container,) = rendered["Deployment"]["spec"]["template"]["spec"]["containers"]
    (flag,) = (argument for argument in container["args"] if argument.startswith("--web.listen-address="))
    assert not ListenAddress.parse(flag.partition("=")[2]).is_loopback
    assert config.auth is not None, "without it the service refuses to start"
    assert config.auth.anonymous == ("health",), "whoever reaches the pod reads no metrics"


@each_ci
def test_the_command_line_knows_the_arguments(values: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By their whole names: argparse would take the beginning of one."""
    with pytest.raises(SystemExit):
        _parser().parse_args(["serve", "--help"])
    known = set(re.findall(r"^  (--\S+)", capsys.readouterr().out, re.MULTILINE))
    (container,) = manifests("helm4", values)["Deployment"]["spec"]["template"]["spec"]["containers"]
    flags = _parser().parse_args(container["args"])
    mounted = [mount["mountPath"] for mount in container["volumeMounts"]]
    command, *given = container["args"]
    assert command == "serve"
    assert {argument.partition("=")[0] for argument in given} <= known
    assert str(Path(flags.file).parent) in mounted
    assert flags.web_file is None or str(Path(flags.web_file).parent) in mounted


@each_ci
def test_who_asks_speaks_what_the_service_speaks(values: Path) -> None:
    """HTTPS with a web configuration that has it, HTTP without."""
    rendered = manifests("helm4", values)
    (container,) = rendered["Deployment"]["spec"]["template"]["spec"]["containers"]
    schemes = {container[probe]["httpGet"]["scheme"].lower() for probe in PROBES}
    schemes.add(rendered["Pod"]["spec"]["containers"][0]["command"][-1].partition("://")[0])
    if "ServiceMonitor" in rendered:
        schemes.add(rendered["ServiceMonitor"]["spec"]["endpoints"][0]["scheme"])
    assert schemes == {"https" if yaml.safe_load(values.read_text()).get("web", {}).get("tls") else "http"}


def test_prometheus_gets_the_name_and_the_password() -> None:
    (endpoint,) = ci("with-web-config")["ServiceMonitor"]["spec"]["endpoints"]
    assert endpoint["basicAuth"] == {
        "username": {"name": "prometheus-hpc-aggregator", "key": "username"},
        "password": {"name": "prometheus-hpc-aggregator", "key": "password"},
    }
    assert endpoint["tlsConfig"] == {
        "ca": {"configMap": {"name": "site-ca", "key": "ca.pem"}},
        "serverName": "site-hpc-aggregator.hpc.svc",
    }
    assert "authorization" not in endpoint


def test_prometheus_gets_the_token() -> None:
    (endpoint,) = ci("with-tokens")["ServiceMonitor"]["spec"]["endpoints"]
    assert endpoint["authorization"] == {"credentials": {"name": "prometheus-hpc-aggregator", "key": "token"}}
    assert endpoint["tlsConfig"]["serverName"] == "hpc.example.org", "the site's own wins"
    assert "basicAuth" not in endpoint


def test_the_configuration_names_the_tokens_where_they_are_mounted() -> None:
    rendered = ci("with-tokens")
    config = yaml.safe_load(rendered["ConfigMap"]["data"]["hpc-aggregator.yml"])
    pod = rendered["Deployment"]["spec"]["template"]["spec"]
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    secrets = {volume["name"]: volume.get("secret") for volume in pod["volumes"]}
    (item,) = secrets["tokens"]["items"]
    assert config["auth"] == {"anonymous": ["health"], "tokens": {"file": f"{mounts['tokens']}/{item['path']}"}}
    assert secrets["tokens"]["secretName"] == "hpc-aggregator-tokens"
    assert {secret["defaultMode"] for secret in secrets.values() if secret} == {0o440}


def test_the_service_may_be_asked_by_the_names_of_its_service() -> None:
    rendered = ci("default")
    config = yaml.safe_load(rendered["ConfigMap"]["data"]["hpc-aggregator.yml"])
    service = rendered["Service"]["metadata"]
    name, namespace = service["name"], service["namespace"]
    wanted = {name, f"{name}.{namespace}", f"{name}.{namespace}.svc", f"{name}.{namespace}.svc.cluster.local"}
    assert wanted == set(config["server"]["allowed_hosts"])


def test_the_service_answers_the_probe_and_ends_soon(tmp_path: Path) -> None:
    """With the default configuration, beyond loopback, and no source that answers."""
    pod = ci("default")["Deployment"]["spec"]["template"]["spec"]
    text = ci("default")["ConfigMap"]["data"]["hpc-aggregator.yml"]
    (tmp_path / "hpc-aggregator.yml").write_text(f"{text}state:\n  url: sqlite:///{tmp_path}/state.db\n")
    port = free_port()
    arguments = [
        argument.replace("/etc/hpc-aggregator", str(tmp_path)).replace(":9850", f":{port}")
        for argument in pod["containers"][0]["args"]
    ]
    path = pod["containers"][0]["livenessProbe"]["httpGet"]["path"]
    command = [sys.executable, "-m", "aggregator", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as service:
        try:
            assert _get(f"http://127.0.0.1:{port}{path}", service) == 200
            service.terminate()
            _, said = service.communicate(timeout=10)
            assert service.returncode == 0, said
        finally:
            service.kill()


def _get(url: str, service: subprocess.Popen[str]) -> int:
    end = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return int(answer.status)
        except OSError:
            if service.poll() is not None or time.monotonic() > end:
                assert service.stderr is not None
                service.kill()
                pytest.fail(f"the service did not start: {service.stderr.read()}")
            time.sleep(0.1)


def test_secrets_are_files_for_the_group_only() -> None:
    pod = ci("with-secret")["Deployment"]["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["secrets"]["secret"] == {"secretName": "hpc-aggregator", "defaultMode": 0o440}
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    assert mounts["secrets"] == "/run/secrets/hpc-aggregator"


def test_a_sqlite_state_is_never_written_by_two_pods() -> None:
    deployment = ci("with-secret")["Deployment"]["spec"]
    assert deployment["strategy"] == {"type": "Recreate"}
    claims = [volume.get("persistentVolumeClaim") for volume in deployment["template"]["spec"]["volumes"]]
    assert {"claimName": ci("with-secret")["PersistentVolumeClaim"]["metadata"]["name"]} in claims


def test_replicas_with_a_server_state_roll() -> None:
    rendered = ci("server-state")
    deployment = rendered["Deployment"]["spec"]
    assert deployment["replicas"] == 2
    assert deployment["strategy"] == {"type": "RollingUpdate"}
    assert "state" not in {volume["name"] for volume in deployment["template"]["spec"]["volumes"]}
    assert rendered["PodDisruptionBudget"]["spec"]["selector"] == deployment["selector"]


def test_the_network_policy_lets_in_prometheus_and_the_test_pod() -> None:
    rendered = ci("network-policy")
    (rule,) = rendered["NetworkPolicy"]["spec"]["ingress"]
    assert rule["from"] == [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}},
        {"podSelector": {"matchLabels": rendered["Pod"]["metadata"]["labels"]}},
    ]


@each_ci
def test_the_service_does_not_select_the_test_pod(values: Path) -> None:
    rendered = manifests("helm4", values)
    selector = rendered["Service"]["spec"]["selector"].items()
    assert selector <= rendered["Deployment"]["spec"]["template"]["metadata"]["labels"].items()
    assert not selector <= rendered["Pod"]["metadata"]["labels"].items()


def test_another_configuration_makes_new_pods() -> None:
    annotations = [
        manifests("helm4", values)["Deployment"]["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
        for values in CI
    ]
    assert len(set(annotations)) == len(CI)


def test_the_schema_knows_every_section_of_the_configuration() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert set(schema["properties"]["config"]["properties"]) == set(Config.model_fields)


def test_the_schema_knows_every_value() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    # Those two are the parent chart's.
    assert set(schema["properties"]) - {"global", "enabled"} == set(values)


def test_the_chart_installs_this_version() -> None:
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == aggregator.__version__
