"""The demo's finished runs."""

from aggregator.model.history import Search
from aggregator.synthetic import SyntheticCluster, SyntheticHistory

START = 1_800_000_000.0


async def test_the_runs_that_ended_are_found_newest_first() -> None:
    cluster = SyntheticCluster(seed=1, start=START)
    cluster.advance(START + 1800)
    search = Search(since=int(START), until=int(START + 900))
    chunk = await SyntheticHistory(cluster).ended(search, None)
    keys = [key for key, _ in chunk.runs]
    assert keys == sorted(set(keys), reverse=True)
    assert {run.run_id for _, run in chunk.runs} == {
        run.run_id for run in cluster.ended_runs(START) if run.end is not None and run.end < START + 900
    }
    assert len(chunk.runs) >= 2
    rest = await SyntheticHistory(cluster).ended(search, keys[0])
    assert [key for key, _ in rest.runs] == keys[1:]
