"""Any metric and any label of any exporter may be stored under another name: only what is one is replaced."""

import asyncio
import re
from collections.abc import Iterator
from string import Template

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.app.stored import renamed
from aggregator.model.series import Span, Subject
from aggregator.sources.prometheus import NodeNames, PrometheusSeries
from aggregator.sources.prometheus.catalogue import GRAPHS, INPUTS
from aggregator.sources.prometheus.expression import OUR_CLUSTER, OURS, Expression
from aggregator.sources.prometheus.render import _look_back, _times, promql
from aggregator.sources.prometheus.settings import ExporterSettings

from .every_query import Recorder
from .test_every_query import LABELS

EVERY = {
    f"{exporter}-{number}-{each.name}": each
    for table in (INPUTS, GRAPHS)
    for exporter, expressions in table.items()
    for number, expression in enumerate(expressions)
    for each in (expression, *getattr(expression, "first", ()), *filter(None, [expression.chosen]))
}
# What stands for a time, the job, a node or a pattern.
OTHER_NAMES = {*_times(1.0, 1.0, 1.0), *_look_back(1.0, 1.0), "recent", "age", "job", "node", "slurm_node", "nodes"}
LISTS = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right) ?\(([^()]*)\)")


def texts(expression: Expression) -> Iterator[str]:
    yield from (expression.text, expression.there, expression.present, f"by ({expression.there_by})")


def labels_of(expression: Expression) -> set[str]:
    """Give the exporter's labels of an expression."""
    names = {name for text in texts(expression) for name in Template(text).get_identifiers()}
    return {name for name in names if expression.key_of(name) is None} - OTHER_NAMES


@pytest.mark.parametrize("expression", EVERY.values(), ids=list(EVERY))
def test_a_name_in_a_text_is_one_thing_and_known(expression: Expression) -> None:
    assert not expression.metrics.keys() & OTHER_NAMES
    assert labels_of(expression) <= {*LABELS.split()}


@pytest.mark.parametrize("expression", EVERY.values(), ids=list(EVERY))
def test_a_label_without_a_placeholder_is_not_the_exporters(expression: Expression) -> None:
    for text in texts(expression):
        listed = {word.strip() for found in LISTS.findall(text) for word in found.split(",")}
        made = {*re.findall(r', "(\w+)", "', text), *re.findall(r'\("(\w+)", ', text)}
        # Prometheus's own, and, of the site's rules, those by which they tell clusters and programs.
        others = {"job", "instance", "cluster", "bin", "filesystem", "host", ""}
        if any(metric.by in (OURS, OUR_CLUSTER) for metric in expression.metrics.values()):
            others |= {"user", "account", "slurmjobid", "component", "gpu_type"}
        assert {word for word in listed if not word.startswith("$")} <= made | others


@pytest.mark.parametrize("expression", EVERY.values(), ids=list(EVERY))
def test_a_word_that_is_no_label_is_never_renamed(expression: Expression) -> None:
    """Functions, values, metrics, times: a site may have a label of any name."""
    here = ExporterSettings(matchers=dict.fromkeys(("scratch", "members", "old_members"), ("mount", "=", "/x")))
    plain = promql(expression, {"cluster": "c"}, here, "instance", 60.0)
    kept = {"slurmjobid", "jobid", "node", *labels_of(expression), *(labels := LABELS.split())}
    odd = {word: "renamed" for word in re.findall(r"\w+", plain) if word not in kept}
    assert odd
    assert labels
    settings = ExporterSettings(labels=odd, matchers=here.matchers)
    # The label of the mount is the site's to rename.
    assert promql(expression, {"cluster": "c"}, settings, "instance", 60.0) == plain.replace("mount=", "renamed=")


PLACES = dict.fromkeys(("scratch", "members", "old_members"), ("mountpoint", "=", "/x"))


@given(st.sampled_from(list(EVERY.values())), st.data())
def test_a_renamed_text_read_with_the_exporters_names_is_the_text(expression: Expression, data: st.DataObject) -> None:
    labels = data.draw(st.sets(st.sampled_from(LABELS.split())))
    metrics = data.draw(st.sets(st.sampled_from(sorted({metric.name for metric in expression.metrics.values()}))))
    names = {f"site{number}_": name for number, name in enumerate(sorted(labels | metrics))}
    stored = {name: token for token, name in names.items()}
    settings = ExporterSettings(
        metrics={name: stored[name] for name in metrics},
        labels={name: stored[name] for name in labels},
        matchers=PLACES,
    )
    text = promql(expression, {"cluster": "c"}, settings, "instance", 60.0)
    read = re.sub(r"site\d+_", lambda token: names[token[0]], text)
    assert read == promql(expression, {"cluster": "c"}, ExporterSettings(matchers=PLACES), "instance", 60.0)


def test_whose_a_job_is_does_not_come_from_its_series() -> None:
    """An exporter writes the account "error" where it does not know: slurmacct knows the owner by the job's id."""
    # The Lustre proxy's names are second to what slurmacct says of the job.
    every = [
        item for exporter, items in INPUTS.items() if not exporter.startswith(("slurm_e", "lustre")) for item in items
    ]
    assert [item.name for item in every if labels_of(item) & {"user", "account"}] == []


@pytest.mark.parametrize("name", ["gpu_pcie", "gpu_nvlink"])
def test_what_is_a_rate_already_is_not_rated_again(name: str) -> None:
    """PCIe and NVLink come as bytes per second, in gauges."""
    client = Recorder()
    reader = PrometheusSeries(client, {}, {"slurm_job_exporter": ExporterSettings()}, NodeNames())
    asyncio.run(reader.read("job", name, Subject(jobs=(1,)), Span(0.0, 600.0, 600.0)))
    assert re.search(r"\b(i?rate|deriv|increase)\(", client.asked[0]) is None
    assert "avg_over_time(" in client.asked[0]


def test_the_check_looks_for_a_metric_under_the_name_that_is_asked_for() -> None:
    names = {"memory_bytes": "site:memory", "slurm_job_memory_rss": "site:rss", "slurm_job_memory_max": "site:max"}
    found = renamed("slurm_job_exporter", names)
    assert (found["slurm_job_memory_rss"], found["slurm_job_memory_max"]) == ("site:memory", "site:max")
    assert renamed("slurm_job_exporter", {"cpu_seconds": "b", "cpus": "a"})["slurm_job_core_usage_total"] == "a"
    assert renamed("node_exporter", {}) == renamed("pcm_sensor_server", {}) == {}
