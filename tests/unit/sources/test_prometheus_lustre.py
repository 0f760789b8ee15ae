"""What is asked of Lustre's servers for a refresh, and what becomes of the answer."""

from collections import Counter
from typing import Any

import pytest
from aiohttp import web
from fake_prometheus import FakePrometheus, make_client, matrix, vector
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.lustre import LustreUse
from aggregator.model.series import Line, Span, Subject
from aggregator.sources.base import FetchError, NoSamples
from aggregator.sources.prometheus import (
    ExporterSettings,
    NodeNames,
    PrometheusClient,
    PrometheusLustre,
    PrometheusSeries,
)
from aggregator.sources.prometheus.client import Sample
from aggregator.sources.prometheus.exporters.lustre_exporter import RATES
from tests.builders import HOSTILE_NAMES, NOW
from tests.lustre import Sender, rates_of

READ, WRITE, OPERATIONS = "lustre_job_read_bytes_total", "lustre_job_write_bytes_total", "lustre_job_stats_total"
COVERAGE = "lustre_inodes_maximum"
FAILURE = web.Response(status=500, text="oops")


def row(value: str, jobid: str = "", filesystem: str = "scratch", **labels: str) -> tuple[dict[str, str], str]:
    return {"filesystem": filesystem, **({"jobid": jobid} if jobid else {}), **labels}, value


async def fetch(
    client: PrometheusClient, most: int = 50_000, names: tuple[str, ...] = (), **settings: Any
) -> LustreUse:
    exporter = ExporterSettings(**{"interval": 90.0, **settings})
    return await PrometheusLustre(client, {"cluster": "narval"}, exporter, names, most).fetch(NOW)


def read(use: LustreUse) -> dict[Sender, float]:
    return rates_of(use.rates["read"])


async def test_no_sample_of_any_server_is_not_believed(client: PrometheusClient) -> None:
    with pytest.raises(NoSamples, match="no sample of any Lustre server"):
        await fetch(client)


async def test_servers_without_any_rate_are_empty_and_not_unknown(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    prometheus.answers[COVERAGE] = vector(({"filesystem": "scratch"}, "1"))
    use = await fetch(client)
    assert {kind: rates_of(rates) for kind, rates in use.rates.items()} == {"read": {}, "write": {}, "metadata": {}}
    assert (use.time, use.interval, use.window, use.coverage, use.failed) == (NOW, 90.0, 360.0, {"scratch": 1.0}, {})
    asked = {form["query"] for form in prometheus.queries}
    assert use.questions.keys() == {"lustre_read", "lustre_write", "lustre_metadata", "lustre_coverage"}
    assert all(each.text in asked and each.at == NOW for (each,) in use.questions.values())


async def test_rates_come_by_who_caused_them_and_equal_senders_are_added_up(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    prometheus.answers = {
        READ: vector(
            row("5", "4711", user="alice", account="def-kim"), row("1", "rsync.20017"), row("2", "bash.20017"),
            row("4"), row("8", "a,b"), row("16", "4711", "home"),
        ),
        COVERAGE: vector(row("0.75")),
    }  # fmt: skip
    use = await fetch(client)
    assert read(use) == {
        Sender("scratch", job_id=4711, user="alice", account="def-kim"): 5.0,
        Sender("scratch", uid=20017): 3.0,
        Sender("scratch"): 12.0,
        Sender("home", job_id=4711): 16.0,
    }
    assert use.coverage == {"scratch": 0.75}


async def test_a_constant_number_of_queries_takes_each_series_rate_before_any_sum(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    prometheus.answers = {READ: vector(*(row("1", str(job)) for job in range(1, 400)))}
    await fetch(client)
    asked = [form["query"] for form in prometheus.queries]
    assert len(asked) == 4
    assert all('cluster="narval"' in query for query in asked)
    (metadata,) = (query for query in asked if OPERATIONS in query)
    assert metadata == (
        "topk(50000, sum by (jobid, filesystem, user, account) (label_replace("
        "max by (instance, target, jobid, operation, user, account) ("
        f'rate({OPERATIONS}{{cluster="narval",component="mdt"}}[360s])), '
        '"filesystem", "$1", "target", "(.+)-(?:OST|MDT).*")))'
    )


async def test_beyond_the_cap_the_whole_is_asked_for_and_the_rest_is_nobodys(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    prometheus.answers = {
        f"topk(2, sum by (jobid, filesystem, user, account) (label_replace(rate({READ}": vector(),
        "topk(": vector(row("5", "1"), row("3", "2")),
        "sum by (filesystem)": vector(row("10"), row("1", filesystem="home")),
    }
    use = await fetch(client, most=2)
    assert read(use) == {
        Sender("scratch", 1): 5.0,
        Sender("scratch", 2): 3.0,
        Sender("scratch"): 2.0,
        Sender("home"): 1.0,
    }
    assert len(prometheus.queries) == 7


async def test_a_whole_that_cannot_be_read_takes_its_kind_along(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    prometheus.answers = {"topk(": vector(row("5", "1")), "sum by (filesystem)": FAILURE}
    use = await fetch(client, most=1)
    assert use.rates == {}
    assert use.failed.keys() == {"read", "write", "metadata"}


async def test_an_input_that_fails_is_missing_and_named_and_the_others_are_there(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    prometheus.answers = {WRITE: FAILURE, READ: vector(row("5", "1"))}
    use = await fetch(client)
    assert {kind: rates_of(rates) for kind, rates in use.rates.items()} == {
        "read": {Sender("scratch", 1): 5.0},
        "metadata": {},
    }
    assert use.failed.keys() == {"write"}


async def test_a_kind_that_fails_is_as_it_last_was_until_patience_ends(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    source = PrometheusLustre(client, {}, ExporterSettings(interval=90.0), patience=100.0)
    prometheus.answers = {READ: vector(row("5", "1"))}
    await source.fetch(NOW)
    prometheus.answers = {READ: FAILURE, WRITE: vector(row("7", "1"))}
    assert read(await source.fetch(NOW + 100)) == {Sender("scratch", 1): 5.0}
    assert "read" not in (await source.fetch(NOW + 101)).rates


async def test_when_all_fail_the_source_has_failed(prometheus: FakePrometheus, client: PrometheusClient) -> None:
    prometheus.everything = lambda: web.Response(status=503, text="down")
    with pytest.raises(FetchError):
        await fetch(client)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-1", "1.0000001e15", "abc", ""])
async def test_a_rate_that_cannot_be_is_dropped_and_counted(
    prometheus: FakePrometheus, client: PrometheusClient, value: str
) -> None:
    prometheus.answers = {READ: vector(row(value, "1"), row("2", "1"))}
    use = await fetch(client)
    assert read(use) == {Sender("scratch", 1): 2.0}
    assert use.rejected == {"read out of range": 1}


async def test_labels_metrics_and_job_ids_may_have_the_sites_own_names(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    prometheus.answers = {"site_read": vector(({"filesystem": "scratch", "exported_jobid": "4711:node12"}, "5"))}
    use = await fetch(client, names=("%j:%H",), labels={"jobid": "exported_jobid"}, metrics={READ: "site_read"})
    assert read(use) == {Sender("scratch", 4711): 5.0}


@pytest.mark.parametrize("name", HOSTILE_NAMES)
async def test_hostile_job_ids_and_names_are_data(
    prometheus: FakePrometheus, client: PrometheusClient, name: str
) -> None:
    prometheus.answers = {READ: vector(row("5", name, name, user=name, account=name))}
    assert read(await fetch(client)) == {Sender(name): 5.0}


@given(st.lists(st.tuples(st.text(max_size=12), st.sampled_from(["scratch", "home"]), st.floats(0, 1e15)), max_size=30))
async def test_whatever_the_job_ids_nothing_is_lost(rows: list[tuple[str, str, float]]) -> None:
    """A source that answers: what its samples add up to, its senders add up to."""
    source = PrometheusLustre(make_client("http://never.asked"), {}, ExporterSettings())
    samples = [Sample(dict(row("", jobid, name)[0]), (NOW, repr(value))) for jobid, name, value in rows]
    found = await source._rates(RATES["read"], samples, (), Counter())
    assert sum(rates_of(found).values()) == pytest.approx(sum(value for _, _, value in rows))


# -- graphs


async def lines(
    client: PrometheusClient, kind: str, metric: str, subject: Subject, exporter: str = "lustre_exporter_slurm"
) -> tuple[Line, ...]:
    series = PrometheusSeries(
        client, {"site": "north"}, {exporter: ExporterSettings(interval=90.0)}, NodeNames(), "narval"
    )
    return (await series.read(kind, metric, subject, Span(0.0, 900.0, 90.0))).lines


async def test_a_jobs_graph_picks_the_job_by_the_label_jobid_and_gives_it_our_name(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    prometheus.answers = {READ: matrix(({"jobid": "4711", "filesystem": "scratch"}, [(0.0, "1")]))}
    found = await lines(client, "job", "lustre_bandwidth", Subject(jobs=(4711,)))
    assert found == (Line({"slurmjobid": "4711", "filesystem": "scratch"}, ((0.0, 1.0),)),)
    assert f'{READ}{{site="north",jobid="4711",component="ost"}}[360s]' in prometheus.queries[0]["query"]


@pytest.mark.parametrize(("name", "regex"), [("scratch", "scratch"), ("a.b-c", r"a\\.b\\-c"), ('q"', 'q\\"')])
async def test_a_file_system_is_picked_by_its_targets_whatever_its_name(
    prometheus: FakePrometheus, client: PrometheusClient, name: str, regex: str
) -> None:
    await lines(client, "filesystem", "lustre_metadata", Subject(labels=(("filesystem", name),)))
    assert f'target=~"{regex}-(OST|MDT).*"' in prometheus.queries[0]["query"]


async def test_without_the_proxy_a_users_graph_is_of_our_own_gauges_of_this_cluster(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    await lines(client, "user", "lustre_metadata", Subject(labels=(("user", 'a"b'),)), "lustre_exporter")
    query = prometheus.queries[0]["query"]
    assert 'hpc_user_lustre_metadata_operations_per_second{cluster="narval",user="a\\"b"}' in query
