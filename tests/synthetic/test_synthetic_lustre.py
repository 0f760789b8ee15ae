"""The demo's Lustre: every part is there, and a job's graph shows what its gauges do."""

from aggregator.model.series import Span, Subject
from aggregator.synthetic import SyntheticAccounting, SyntheticCluster, SyntheticLustre, SyntheticSeries
from tests.lustre import join_lustre

START = 1_800_000_900.0


async def test_jobs_users_and_the_unknown_have_their_parts() -> None:
    cluster = SyntheticCluster(start=START)
    accounting = await SyntheticAccounting(cluster).fetch(START)
    frames = join_lustre(await SyntheticLustre(cluster).fetch(START), accounting.runs)
    assert set(frames["cluster_lustre"]["part"]) == {"jobs", "users", "unknown"}
    assert set(frames["cluster_lustre"]["filesystem"]) == {"project", "scratch"}
    assert list(frames["user_lustre"]["account"]).count("") == 5
    assert not frames["job_lustre"].is_empty()


async def test_a_jobs_graph_ends_at_its_gauge() -> None:
    cluster = SyntheticCluster(start=START)
    accounting = await SyntheticAccounting(cluster).fetch(START)
    frames = join_lustre(await SyntheticLustre(cluster).fetch(START), accounting.runs)
    rates = frames["job_lustre"].row(0, named=True)
    subject = Subject(jobs=(rates["job_id"],))
    series = SyntheticSeries(cluster)
    assert series.available("job")["lustre_bandwidth"].exporter == "lustre_exporter"
    lines = (await series.read("job", "lustre_bandwidth", subject, Span(START - 60, START, 30.0))).lines
    shown = {(line.labels["filesystem"], line.labels["direction"]): line.points[-1][1] for line in lines}
    assert shown == {(rates["filesystem"], kind): rates[f"{kind}_bytes_per_second"] for kind in ("read", "write")}
