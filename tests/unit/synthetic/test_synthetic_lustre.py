"""The demo's Lustre: every part is there, and a job's graph shows what its gauges do."""

from aggregator.join.lustre import join_lustre
from aggregator.model.series import Span, Subject
from aggregator.synthetic import SyntheticAccounting, SyntheticCluster, SyntheticLustre, SyntheticSeries

START = 1_800_000_900.0


async def test_jobs_users_and_the_unknown_have_their_parts() -> None:
    cluster = SyntheticCluster(start=START)
    accounting = await SyntheticAccounting(cluster).fetch(START)
    view = join_lustre(await SyntheticLustre(cluster).fetch(START), accounting.runs, {})
    assert view.parts.keys() == {"jobs", "users", "unknown"}
    assert view.filesystems == {"project", "scratch"}
    assert len([sums for sums in view.users if not sums.account]) == 5
    assert any(job.filesystems for job in view.jobs.values())


async def test_a_jobs_graph_ends_at_its_gauge() -> None:
    cluster = SyntheticCluster(start=START)
    accounting = await SyntheticAccounting(cluster).fetch(START)
    view = join_lustre(await SyntheticLustre(cluster).fetch(START), accounting.runs, {})
    job = next(live.run for live in cluster.live() if view.jobs.get(live.run.run_id, None) and live.run.run_id % 5)
    subject = Subject(jobs=(job.job_id,))
    series = SyntheticSeries(cluster)
    assert series.offers("job")["lustre_bandwidth"].exporter == "lustre_exporter"
    lines = (await series.read("job", "lustre_bandwidth", subject, Span(START - 60, START, 30.0))).lines
    shown = {(line.labels["filesystem"], line.labels["direction"]): line.points[-1][1] for line in lines}
    rates = view.jobs[job.run_id].filesystems
    assert shown == {(name, kind): getattr(io, kind) for name, io in rates.items() for kind in ("read", "write")}
