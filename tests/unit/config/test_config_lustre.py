"""The forms of Lustre's job ids: what the clients have in jobid_name, and nothing that tells nobody apart."""

import pytest

from aggregator.config import Config, ConfigError, parse


def read(names: str) -> Config:
    exporter = f"lustre_exporter: {{ jobid_names: {names} }}"
    return parse(
        "clusters: { narval: { slurmacct: { host: db1, user: u }, prometheus: { url: 'http://p' },"
        f" exporters: {{ {exporter} }} }} }}"
    )


def test_the_forms_are_those_of_lctl_and_there_are_none_by_default() -> None:
    exporters = read("['%j:%H', 'narval-%j']").clusters["narval"].exporters
    assert exporters.lustre_exporter is not None
    assert exporters.lustre_exporter.jobid_names == ("%j:%H", "narval-%j")
    defaults = read("[]").clusters["narval"].exporters.lustre_exporter
    assert defaults is not None
    assert (defaults.jobid_names, defaults.interval) == ((), 90.0)


@pytest.mark.parametrize("name", ["%e", "%x%j", "", "%j%j"])
def test_a_form_that_cannot_be_is_named_with_its_key(name: str) -> None:
    with pytest.raises(ConfigError, match=r"clusters\.narval\.exporters\.lustre_exporter\.jobid_names.*must have"):
        read(f"['{name}']")
