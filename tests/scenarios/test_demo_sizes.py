"""The demo of another size is as believable: what it shows adds up, and no node holds more than it has."""

from collections.abc import Iterator

import pytest

from aggregator.config import active_rules, load_rules
from tests.identities import Page, problems
from tests.lab.process import wait_until
from tests.scenarios.demo import CLUSTER, Demo, assert_nodes, assert_sums

JOBS = 300


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"), f"--jobs={JOBS}")
    try:
        running.start()
        yield running
    finally:
        running.service.stop()


def test_it_has_about_as_many_running_jobs_as_asked_for_and_jobs_that_wait(demo: Demo) -> None:
    jobs = {each["state"]: each["count"] for each in demo.data(CLUSTER)["jobs"]}
    assert jobs["running"] == pytest.approx(JOBS, rel=0.1)
    assert jobs["pending"] > JOBS / 10


def test_it_tells_of_every_rule_of_an_efficient_job_and_of_a_user_near_the_quota(demo: Demo) -> None:
    wait_until(lambda: {*_reasons(demo)} == {rule.name for rule in active_rules(load_rules())}, 60, "every rule")
    efficient = [run for run in demo.runs() if (run["gpu_efficiency_ratio"] or 0) > 0.8 and not run["waste"]]
    assert efficient
    homes = demo.rows("/api/v1/storage/home/users", "users")
    assert max(each["quota_used_ratio_bytes"] for each in homes) > 0.95


def _reasons(demo: Demo) -> list[str]:
    return [each["reason"] for each in demo.data(CLUSTER)["waste"]]


def test_its_jobs_users_accounts_and_nodes_add_up(demo: Demo) -> None:
    assert problems(Page.asked(demo.service)) == []
    assert_sums(demo)


def test_no_node_of_it_holds_more_than_it_has(demo: Demo) -> None:
    nodes = assert_nodes(demo)
    assert len(nodes) == 27
    assert any(node["gpus"] for node in nodes)
