"""The scripts of the demo's jobs."""

import pytest

from aggregator.synthetic import SyntheticAccounting, SyntheticCluster

START = 1.7e9


@pytest.fixture(scope="module")
def cluster() -> SyntheticCluster:
    return SyntheticCluster(seed=1, start=START)


async def test_every_run_has_a_script_whose_lines_are_whole(cluster: SyntheticCluster) -> None:
    source = SyntheticAccounting(cluster)
    for run in (*cluster.open_runs(), *cluster.ended_runs(0.0)):
        content = (await source.script_of(run)).content
        assert content is not None
        first, *lines = content.decode().splitlines()
        options = [line for line in lines if line.startswith("#SBATCH --")]
        assert first == "#!/bin/bash"
        assert f"#SBATCH --account={run.account}" in options
        assert len(options) == 7 + len(run.requested.gpus), "a name of two lines is no second line"


async def test_the_script_is_of_the_jobs_kind_and_the_same_each_time(cluster: SyntheticCluster) -> None:
    source = SyntheticAccounting(cluster)
    (run, *_) = (run for run in cluster.open_runs() if run.name.startswith("lora_"))
    script = await source.script_of(run)
    assert script.content is not None
    assert b"finetune.py" in script.content
    assert script == await SyntheticAccounting(SyntheticCluster(seed=1, start=START)).script_of(run)
