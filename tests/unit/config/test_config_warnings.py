from pathlib import Path

import pytest

from aggregator.config import load

TESTDATA = Path(__file__).parent / "testdata"


@pytest.mark.usefixtures("secrets")
def test_each_unused_section_of_the_file_gives_a_warning() -> None:
    paths = [
        "energy.gpu_classes",
        "cloud",
        "auth.jwt",
        "limits",
        "clusters.narval.slurmacct.replica",
        "clusters.narval.exporters.slurm_exporter",
        "clusters.narval.exporters.lustre_exporter",
        "clusters.narval.exporters.pcm_sensor_server",
        "filesystems.scratch.quota.path",
        "filesystems.scratch.cluster",
    ]

    warnings = load(TESTDATA / "contract.good.yml").warnings

    assert [f"{path}: accepted, not used by this version" for path in paths] == list(warnings)


def test_secret_that_everyone_can_read_gives_a_warning(secrets: Path) -> None:
    (secrets / "password").chmod(0o644)

    warnings = load(TESTDATA / "contract.good.yml").warnings

    message = f"every user of this machine can read {secrets / 'password'}"
    assert f"clusters.narval.slurmacct.password_file: {message}" in warnings
    assert f"cloud.arbutus.prometheus.bearer_token_file: {message}" in warnings
