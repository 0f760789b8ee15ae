from pathlib import Path

import pytest

from aggregator.config import ConfigError, load

TESTDATA = Path(__file__).parent / "testdata"
WANT = "# want: "


def wanted(file: Path) -> list[str]:
    lines = file.read_text().splitlines()
    return [f"{file}:{line.removeprefix(WANT)}" for line in lines if line.startswith(WANT)]


@pytest.mark.usefixtures("secrets")
@pytest.mark.parametrize("file", sorted(TESTDATA.glob("*.bad.yml")), ids=lambda file: file.name)
def test_bad_file_names_every_mistake(file: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(file)

    assert wanted(file) == [str(mistake) for mistake in caught.value.mistakes]
    assert str(caught.value).splitlines() == wanted(file)
    said = str(caught.value).replace("/nonexistent/hunter2.txt", "")
    assert "hunter2" not in said


@pytest.mark.usefixtures("secrets")
@pytest.mark.parametrize("file", sorted(TESTDATA.glob("*.good.yml")), ids=lambda file: file.name)
def test_good_file_loads(file: Path) -> None:
    assert load(file) == load(file)


@pytest.mark.usefixtures("secrets")
def test_contract_has_every_section() -> None:
    config = load(TESTDATA / "contract.good.yml")

    narval = config.clusters["narval"]
    assert narval.slurmacct.replica is not None
    assert narval.exporters.in_use["redfish_exporter"].interval == 90
    assert config.state.summary_retention == 5 * 365 * 86400
    assert config.waste.normal_memory_per_gpu == 128 * 2**30
    assert config.auth is not None
    assert config.auth.trusted_proxy is not None
    assert [str(network) for network in config.auth.trusted_proxy.networks] == ["127.0.0.1/32"]
    assert config.filesystems["scratch"].robinhood is None


def test_minimal_file_has_the_documented_defaults() -> None:
    config = load(TESTDATA / "minimal.good.yml")

    assert str(config.server.listen_address) == ":9850"
    assert config.auth is None
    assert [warning.partition(":")[0] for warning in config.warnings] == ["clusters.narval.slurmacct"]
    assert config.clusters["narval"].slurmacct.database == "slurm_acct_db"
    assert config.clusters["narval"].exporters.in_use == {}
    assert config.waste.normal_memory_per_cpu == 4096


def test_unreadable_file_is_one_mistake(tmp_path: Path) -> None:
    (tmp_path / "latin1.yml").write_bytes(b"a: \xe9")

    with pytest.raises(ConfigError, match=r"absent\.yml: cannot read: No such file or directory$"):
        load(tmp_path / "absent.yml")
    with pytest.raises(ConfigError, match=r"latin1\.yml: cannot read: not UTF-8 text$"):
        load(tmp_path / "latin1.yml")


def test_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    file = tmp_path / "config.yml"
    file.write_text((TESTDATA / "minimal.good.yml").read_text(), encoding="utf-8-sig")

    assert "narval" in load(file).clusters


def test_relative_paths_start_at_the_file(tmp_path: Path) -> None:
    file = tmp_path / "config.yml"
    file.write_text((TESTDATA / "minimal.good.yml").read_text() + "allocations: { file: awards.yml }\n")

    assert load(file).allocations.file == tmp_path / "awards.yml"
