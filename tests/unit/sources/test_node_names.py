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
        ("Node01", "Node01"),
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
