"""The section `energy`: prices need a currency, a zone its factor, and node classes their nodes."""

import pytest

from aggregator.config import Config, ConfigError, parse

CLUSTER = "clusters: { narval: { slurmacct: { host: db1, user: u }, prometheus: { url: 'http://p:9090' } } }\n"


def read(energy: str) -> Config:
    return parse(f"{CLUSTER}energy: {energy}")


@pytest.mark.parametrize(
    ("energy", "mistake"),
    [
        ("{ tariff: { per_kwh: 0.1 } }", "energy.tariff.currency: required with per_kwh"),
        ("{ tariff: { cpu_hour: 0.1 } }", "energy.tariff.currency: required with cpu_hour"),
        ("{ tariff: { gpu_hour: { a100: 1 } } }", "energy.tariff.currency: required with gpu_hour"),
        ("{ tariff: { currency: CAD, cooling_share: 0.2 } }", "energy.tariff.per_kwh: required with cooling_share"),
        ("{ co2: { zone: CA-QC } }", "energy.co2.static_g_per_kwh: required with zone"),
        (
            "{ tariff: { currency: dollars, per_kwh: 1 } }",
            "energy.tariff.currency: must be a currency code such as CAD",
        ),
        ("{ pue: 0.9 }", "energy.pue: must be a number of at least 1"),
        ("{ node_classes: { cpu: { idle_watts: 1 } } }", "energy.node_classes.cpu.nodes: required"),
        ("{ node_classes: { cpu: { nodes: 'n[1-' } } }", "energy.node_classes.cpu.nodes: must be a host list such as"),
        ("{ node_classes: { cpu: { nodes: n1, watts: 3 } } }", "energy.node_classes.cpu.watts: unknown key"),
        ("{ window: 0s }", "energy.window: must be"),
        ("{ model: fair }", "energy.model: must be two_part, allocation or usage"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_path(energy: str, mistake: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(energy)

    (line,) = str(error.value).splitlines()
    assert line.startswith(f"config.yml:2: {mistake}")


def test_nodes_of_a_class_are_expanded_and_written_back_as_they_are() -> None:
    config = read("{ node_classes: { cpu: { nodes: 'n[08-10],login', cpus: 64, memory: 256GiB, idle_watts: 120 } } }")

    assert config.energy.node_classes["cpu"].nodes == ("n08", "n09", "n10", "login")
    assert config.model_dump(mode="json")["energy"]["node_classes"]["cpu"]["nodes"] == ["n08", "n09", "n10", "login"]


def test_without_prices_nothing_is_priced() -> None:
    assert (read("{}").energy.tariff.currency, read("{}").energy.co2.static_g_per_kwh) == (None, None)
