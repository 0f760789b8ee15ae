from pathlib import Path

import pytest

from aggregator.config import load, parse

TESTDATA = Path(__file__).parent / "testdata"


@pytest.mark.usefixtures("secrets")
def test_a_good_file_gives_no_warning() -> None:
    assert load(TESTDATA / "contract.good.yml").warnings == ()


def test_secret_that_everyone_can_read_gives_a_warning(secrets: Path) -> None:
    (secrets / "password").chmod(0o644)

    warnings = load(TESTDATA / "contract.good.yml").warnings

    message = f"every user of this machine can read {secrets / 'password'}"
    assert f"clusters.narval.slurmacct.password_file: {message}" in warnings
    assert f"cloud.arbutus.prometheus.bearer_token_file: {message}" in warnings


def test_power_without_the_use_of_jobs_gives_a_warning() -> None:
    config = parse(
        "clusters: { narval: { slurmacct: { host: localhost, user: u }, prometheus: { url: 'http://p:9090' }, "
        "exporters: { redfish_exporter: {} } } }"
    )

    (warning,) = config.warnings
    assert warning.startswith("clusters.narval.exporters.redfish_exporter: no energy without slurm_job_exporter")


SITE = "clusters: { narval: { slurmacct: { host: localhost, user: u }, prometheus: { url: 'http://p:9090' } } }\n"


def test_metrics_that_are_open_to_everybody_give_a_warning() -> None:
    (warning,) = parse(SITE + "auth: { anonymous: [health, metrics] }").warnings
    assert warning.startswith("auth.anonymous: metrics: everybody who reaches the address can read the names of all")
    for auth in ("", "auth: {}", "auth: { anonymous: [health, clusters] }"):
        assert parse(SITE + auth).warnings == ()


@pytest.mark.parametrize(("mode", "can"), [(0o644, "read"), (0o602, "change"), (0o666, "read and change")])
def test_a_file_of_tokens_that_others_can_read_or_change_gives_a_warning(tmp_path: Path, mode: int, can: str) -> None:
    file = tmp_path / "tokens.yml"
    file.write_text("[]")
    file.chmod(mode)
    (warning,) = parse(SITE + f"auth: {{ tokens: {{ file: '{file}' }} }}").warnings
    assert warning == f"auth.tokens.file: every user of this machine can {can} {file}: chmod 0600"


def test_a_file_of_tokens_that_only_its_owner_and_group_can_read_gives_none(tmp_path: Path) -> None:
    file = tmp_path / "tokens.yml"
    for exists in (False, True):
        if exists:
            file.write_text("[]")
            file.chmod(0o640)
        assert parse(SITE + f"auth: {{ tokens: {{ file: '{file}' }} }}").warnings == ()


def test_the_exporter_of_clouds_gives_a_warning_where_it_is_said_of_a_cluster() -> None:
    config = parse(
        "clusters: { narval: { slurmacct: { host: localhost, user: u }, prometheus: { url: 'http://p:9090' }, "
        "exporters: { libvirtd_exporter: {} } } }"
    )

    (warning,) = config.warnings
    assert warning.startswith("clusters.narval.exporters.libvirtd_exporter: not used here")


@pytest.mark.parametrize(
    ("host", "warns"),
    [("db1", True), ("10.0.0.5", True), ("localhost", False), ("127.0.0.1", False), ("::1", False), ("[::1]", False)],
)
def test_a_database_on_another_machine_without_tls_gives_a_warning(host: str, warns: bool) -> None:
    (cluster, filesystem) = (
        f"clusters: {{ n: {{ slurmacct: {{ host: '{host}', user: u TLS }}, prometheus: {{ url: 'http://p' }} }} }}",
        f"filesystems: {{ p: {{ robinhood: {{ host: '{host}', user: u, database: d TLS }} }} }}",
    )
    state = f"state: {{ url: 'mysql://u@{host if ':' not in host or '[' in host else f'[{host}]'}/d' TLS }}"
    text = "\n".join((cluster, filesystem, state))

    keys = [warning.partition(":")[0] for warning in parse(text.replace(" TLS", "")).warnings]

    assert keys == (["clusters.n.slurmacct", "filesystems.p.robinhood", "state"] if warns else [])
    assert parse(text.replace(" TLS", ", tls: {}")).warnings == ()


def test_a_replica_has_the_tls_of_its_primary() -> None:
    text = (
        "clusters: { n: { slurmacct: { host: localhost, user: u TLS, replica: { host: db2 } }, "
        "prometheus: { url: 'http://p' } } }"
    )

    (warning,) = parse(text.replace(" TLS", "")).warnings

    assert warning.startswith("clusters.n.slurmacct.replica: db2 is another machine")
    assert parse(text.replace(" TLS", ", tls: {}")).warnings == ()
