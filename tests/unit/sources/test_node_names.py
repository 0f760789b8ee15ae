import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.sources.prometheus import NodeNames

DEFAULT = NodeNames()


@pytest.mark.parametrize(
    ("value", "node"),
    [
        ("node01", "node01"),
        ("node01:9798", "node01"),
        ("node01.cluster.example", "node01"),
        ("node01.cluster.example:9798", "node01"),
        ("node01-oob", "node01"),
        ("node01-oob.bmc.example:443", "node01"),
        ("10.0.0.7:9798", "10.0.0.7"),
        ("10.0.0.7", "10.0.0.7"),
        ("[fd00::7]:9798", "fd00::7"),
        ("[fd00::7]", "fd00::7"),
        ("fd00::7", "fd00::7"),
        ("", ""),
        ("node01:http", "node01:http"),
        ("Node01", "node01"),
        ("NODE01-OOB.Cluster.Example:9798", "node01"),
    ],
)
def test_every_form_of_an_instance_means_one_node(value: str, node: str) -> None:
    assert DEFAULT.normalize(value) == node


@pytest.mark.parametrize(
    ("rule", "value", "node"),
    [
        (NodeNames(strip_port=False), "node01:9798", "node01:9798"),
        (NodeNames(strip_domain=False), "node01.example:9798", "node01.example"),
        (NodeNames(bmc_suffix=""), "node01-oob:9798", "node01-oob"),
        (NodeNames(bmc_suffix="-ipmi"), "node01-ipmi", "node01"),
        (NodeNames(bmc_suffix="-ipmi"), "node01-oob", "node01-oob"),
    ],
)
def test_the_rule_can_be_changed(rule: NodeNames, value: str, node: str) -> None:
    assert rule.normalize(value) == node


@given(st.text(max_size=40))
def test_any_label_value_has_a_node_and_a_node_is_its_own(value: str) -> None:
    assert isinstance(DEFAULT.normalize(value), str)


@given(st.from_regex(r"[a-z]{1,8}[0-9]{1,4}", fullmatch=True), st.integers(1, 65535))
def test_a_node_is_the_same_in_every_form(node: str, port: int) -> None:
    forms = (node, f"{node}:{port}", f"{node}.a.example", f"{node}.a.example:{port}", f"{node}-oob:{port}")
    assert {DEFAULT.normalize(form) for form in forms} == {node}


RULES = [
    NodeNames(strip_port=port, strip_domain=domain, bmc_suffix=suffix, addresses=addresses)
    for port in (True, False)
    for domain in (True, False)
    for suffix in ("-oob", "", "b", ".mgmt")
    for addresses in ({}, {"10.0.0.5": "node01", "fd00::5": "node01", "10.0.1.5": "7", "10.0.0.7": "10.0.0.5"})
]
NAMES = st.sampled_from(
    ["node01", "Node01", "node1", "a.b", "7", "10", "10.0.0.5", "10.0.0.7", "fd00::5", "node01-oob", "nodeb", "", "b",
     "no de", "n+", "node01|x", "a:7", "[x", "]:y", "\n", "\u0663", "10.0.1.5:9100", "0.", ".", 'n"'],
)  # fmt: skip
TAILS = st.lists(
    st.sampled_from(
        ["-oob", "b", ".mgmt", ".cluster.example", ".5", ".0.0.7", ":9798", ":", ":http", "]", ":\u0663", "\n"]
    ),
    max_size=3,
).map("".join)
VALUES = st.builds("{}{}{}".format, st.sampled_from(["", "", "["]), NAMES, TAILS) | st.text("ab.:[]01-o", max_size=8)


def matches(rule: NodeNames, nodes: list[str], value: str) -> bool:
    """Match as PromQL does: the whole value."""
    label, operator, pattern = rule.matcher(nodes)
    assert (label, operator) == ("instance", "=~")
    return re.fullmatch(pattern, value) is not None


@given(st.sampled_from(RULES), VALUES, NAMES)
def test_the_matcher_picks_the_values_that_mean_the_node_and_no_other(rule: NodeNames, value: str, node: str) -> None:
    """Or a graph would show another node's series, or lack its own."""
    assert matches(rule, [node], value) == (rule.normalize(value) == node.lower())
    assert matches(rule, [rule.normalize(value)], value)


@given(st.sampled_from(RULES), VALUES, st.lists(NAMES, max_size=4))
def test_the_matcher_of_several_nodes_is_that_of_each(rule: NodeNames, value: str, nodes: list[str]) -> None:
    assert matches(rule, nodes, value) == (rule.normalize(value) in map(str.lower, nodes))


@pytest.mark.parametrize("value", ["10.0.0.5", "10.0.0.5:9798", "fd00::5", "[fd00::5]", "[fd00::5]:9798"])
def test_an_address_of_the_map_is_its_node(value: str) -> None:
    rule = NodeNames(addresses={"10.0.0.5": "node01", "fd00::5": "node01"})
    assert rule.normalize(value) == "node01"
    assert matches(rule, ["node01"], value)
    assert not matches(rule, ["node01"], "10.0.0.50:9798")


def test_an_address_that_is_not_in_the_map_is_no_node_and_no_domain() -> None:
    """Cut at its dots, a hundred machines would be the node `10`."""
    assert DEFAULT.normalize("10.0.0.9:9798") == "10.0.0.9"
    assert not matches(DEFAULT, ["10"], "10.0.0.9:9798")


def test_the_label_need_not_be_instance() -> None:
    assert NodeNames(label="nodename").matcher(["a", "b"])[:2] == ("nodename", "=~")


def test_the_matcher_of_ordinary_names_grows_by_the_names_only() -> None:
    pattern = DEFAULT.matcher([f"node{number:04}" for number in range(100)])[2]
    assert len(pattern) < 100 * len("node0000|") + 40


def test_the_name_of_a_node_is_the_first_group_and_an_address_has_none() -> None:
    """Two nodes that are scraped by address would be one, were both called nothing."""
    rule = NodeNames(addresses={"10.0.0.5": "n1"})
    pattern = rule.capture(["n1", "n2", "10.0.0.6"])
    found = re.fullmatch(pattern, "n2.example.org:9738")
    assert found is not None
    assert found[1] == "n2"
    assert not any(re.fullmatch(pattern, value) for value in ("10.0.0.5:9738", "10.0.0.6:9738", "n3:9738", ""))
    assert not re.fullmatch(rule.capture([]), "")
