"""A site's rules of waste: what changes, adds and disables, and every mistake with its line."""

from pathlib import Path

import pytest

from aggregator.cli import main
from aggregator.config import ConfigError, active_rules, load, load_rules, parse
from aggregator.model.waste import Condition, Exemption, Rule

TESTDATA = Path(__file__).parent / "testdata"
SITE = TESTDATA / "waste" / "site.good.yml"
WANT = "# want: "
CONFIG = """
clusters:
  narval:
    slurmacct: { host: db1, user: a, password: b }
    prometheus: { url: "http://p:9090" }
waste:
"""


def rules(file: Path | None = None) -> dict[str, Rule]:
    return {rule.name: rule for rule in active_rules(load_rules(file))}


@pytest.mark.parametrize("file", sorted((TESTDATA / "waste").glob("*.bad.yml")), ids=lambda file: file.name)
def test_a_bad_rules_file_names_every_mistake(file: Path) -> None:
    wanted = [line.removeprefix(WANT) for line in file.read_text().splitlines() if line.startswith(WANT)]
    with pytest.raises(ConfigError) as caught:
        load_rules(file)
    assert [str(mistake) for mistake in caught.value.mistakes] == [f"{file}:{line}" for line in wanted]


def test_a_rule_keeps_the_keys_that_the_site_does_not_write() -> None:
    shipped, changed = rules()["cpu_low"], rules(SITE)["cpu_low"]
    assert changed.minimum_runtime == 7200.0
    assert [level.conditions for level in changed.levels] == [
        (Condition("cpu_used_ratio", "<=", 0.25),), shipped.levels[1].conditions,
    ]  # fmt: skip
    assert (changed.message, changed.unless, changed.conditions) == (
        shipped.message, shipped.unless, shipped.conditions,
    )  # fmt: skip


def test_a_disabled_rule_is_not_active_and_the_others_are() -> None:
    assert set(rules()) - set(rules(SITE)) == {"gpu_low_utilization"}
    assert {name for name, rule in rules(SITE).items() if rule == rules().get(name)} == {
        "gpu_unused", "gpu_partly_unused", "cpu_serial", "memory_overrequested",
    }  # fmt: skip


def test_a_new_rule_has_all_that_is_written() -> None:
    new = rules(SITE)["large_idle_allocation"]
    assert (new.resource, new.fix, new.documentation) == ("memory", "Cancel it.", "https://docs.example.org/large")
    assert (new.minimum_runtime, new.coverage, new.unless) == (86400.0, 0.5, {"memory_overrequested"})
    assert new.conditions == (
        Condition("memory_allocated_bytes", ">", 2.0**40), Condition("elapsed_seconds", ">=", 129_600.0),
    )  # fmt: skip
    assert [(level.severity, len(level.conditions)) for level in new.levels] == [("warning", 2)]
    assert new.exemptions == (
        Exemption(
            frozenset({"largemem"}), frozenset({"debug"}), frozenset({"def-kim"}),
            frozenset({"root", "bob's \"other\" name"}), ("bench-*",),
        ),
    )  # fmt: skip


@pytest.mark.parametrize("text", ["", "rules: {}\n"])
def test_a_file_without_rules_leaves_the_shipped_ones(tmp_path: Path, text: str) -> None:
    (tmp_path / "waste.yml").write_text(text)
    assert rules(tmp_path / "waste.yml") == rules()


def test_a_configuration_has_the_shipped_rules_unless_it_says_otherwise() -> None:
    assert parse(CONFIG.removesuffix("waste:\n")).waste_rules == tuple(rules().values())
    assert parse(CONFIG + f"  rules_file: {SITE}\n").waste_rules == tuple(rules(SITE).values())


def test_exemptions_of_the_configuration_are_read() -> None:
    text = CONFIG + "  exemptions: [ { account: [a, b], rules: [cpu_low] }, { job_name: 'x*' } ]\n"
    assert parse(text).waste_exemptions == (
        Exemption(accounts=frozenset({"a", "b"}), rules=frozenset({"cpu_low"})), Exemption(job_names=("x*",)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("{}", "waste.exemptions[0]: must name account, job_name, partition, qos or user: it would exempt everything"),
        ("{ rules: [cpu_low] }", "waste.exemptions[0]: must name account, job_name, partition, qos or user"),
        ("{ users: a }", 'waste.exemptions[0].users: unknown key (did you mean "user"?)'),
        (
            "{ user: a, rules: [cpu] }",
            "waste.exemptions[0].rules[0]: must be a rule (gpu_unused, gpu_partly_unused, gpu_low_utilization, "
            'gpu_low_occupancy, cpu_serial, cpu_low, memory_overrequested), got "cpu"',
        ),
        ("{ user: [] }", "waste.exemptions[0].user: must be a name or a list of names, got a list"),
        ('{ user: [""] }', "waste.exemptions[0].user: must be a name or a list of names, got a list"),
    ],
)
def test_a_mistake_in_an_exemption_is_named_with_its_line(written: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(CONFIG + f"  exemptions:\n    - {written}\n")
    assert str(caught.value).startswith(f"config.yml:8: {message}")


def test_an_exemption_may_name_a_disabled_or_an_own_rule() -> None:
    text = (
        f"  rules_file: {SITE}\n  exemptions: [ {{ user: a, rules: [large_idle_allocation, gpu_low_utilization] }} ]\n"
    )
    assert parse(CONFIG + text).waste_exemptions[0].rules == {"large_idle_allocation", "gpu_low_utilization"}


def test_a_rules_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yml: cannot read: No such file or directory$"):
        parse(CONFIG + f"  rules_file: {tmp_path}/nowhere.yml\n")


def test_check_counts_the_active_rules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "config.yml"
    file.write_text(CONFIG + f"  rules_file: {SITE}\nserver: {{ listen_address: '127.0.0.1:9850' }}\n")
    assert main(["check", f"--config.file={file}"]) == 0
    assert capsys.readouterr().out == f"{file}: no mistakes, 6 rules of waste are active\n"


def test_check_ends_with_2_for_a_mistake_in_the_rules_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "waste.yml").write_text("rules:\n  cpu_low: { enabled: maybe }\n")
    (tmp_path / "config.yml").write_text(CONFIG + "  rules_file: waste.yml\n")
    assert main(["check", f"--config.file={tmp_path}/config.yml"]) == 2
    assert capsys.readouterr().err == (
        f'{tmp_path}/waste.yml:2: rules.cpu_low.enabled: must be true or false, got "maybe"\n'
    )


def test_the_whole_configuration_is_shown() -> None:
    config = load_example()
    assert config["waste"]["exemptions"] == [
        {"partition": ["debug"], "qos": [], "account": [], "user": [], "job_name": [], "rules": []}
    ]


def load_example() -> dict[str, dict[str, object]]:
    return parse(CONFIG + "  exemptions: [ { partition: debug } ]\n").model_dump(mode="json")


def test_equal_files_are_equal_configurations(tmp_path: Path) -> None:
    file = tmp_path / "config.yml"
    file.write_text(CONFIG + f"  rules_file: {SITE}\n")
    assert load(file) == load(file)
