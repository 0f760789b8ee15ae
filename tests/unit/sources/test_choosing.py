"""Which of several exporters is believed of a job on a node."""

import polars as pl
import pytest

from aggregator.model.job_inputs import NODE_VALUES
from aggregator.sources.prometheus.catalogue import PREFERRED, PROVIDERS, in_order
from aggregator.sources.prometheus.choosing import EXPORTER, choose, choose_gpus
from aggregator.sources.prometheus.exporter import Provides
from aggregator.sources.prometheus.gpu_names import gpu_names
from tests.use import Gpu, gpus_by_job, gpus_frame

OF_JOB = ("job_id", "node")
OURS, OTHER = Gpu("n1", "GPU-1", 0.8, 1.0), Gpu("n1", "0", 0.2, 2.0)


def values(**by_node: float) -> pl.DataFrame:
    """Give values of job 1, by node."""
    return pl.DataFrame([(1, node, value) for node, value in by_node.items()], schema=NODE_VALUES, orient="row")


def shown(frame: pl.DataFrame) -> dict[str, float]:
    return dict(frame.select("node", "value").iter_rows())


def test_each_node_has_the_values_of_the_first_exporter_that_shows_it_and_they_are_not_added_up() -> None:
    by = {"a": {"memory_bytes": values(n1=1.0, n2=2.0)}, "b": {"memory_bytes": values(n2=20.0, n3=30.0)}}
    for order, expected in (
        (("a", "b"), {"n1": 1.0, "n2": 2.0, "n3": 30.0}),
        (("b", "a"), {"n1": 1.0, "n2": 20.0, "n3": 30.0}),
    ):
        found, chosen = choose(by, ("memory_bytes",), order, OF_JOB)
        assert shown(found["memory_bytes"]) == expected
        assert chosen is not None
        assert dict(chosen.select("node", EXPORTER).iter_rows())["n2"] == order[0]


def test_a_counter_is_of_the_exporter_that_has_its_time_and_slope_as_well() -> None:
    """One that has ended has a slope for a while, and one that has begun a counter."""
    ending, beginning = {"cpus": values(n1=1.0)}, {"cpu_seconds": values(n1=5.0), "sampled_at": values(n1=9.0)}
    whole = {"cpus": values(n1=2.0), "cpu_seconds": values(n1=6.0), "sampled_at": values(n1=8.0)}
    for other in (ending, beginning):
        found, _ = choose({"a": other, "b": whole}, tuple(whole), ("a", "b"), OF_JOB)
        assert {name: shown(frame) for name, frame in found.items()} == {
            name: shown(frame) for name, frame in whole.items()
        }


def test_an_input_that_was_read_is_there_without_any_row_and_one_that_was_not_is_not() -> None:
    found, _ = choose({"a": {"cpus": values(n1=1.0)}, "b": {"threads": values()}}, ("cpus", "threads"), "ab", OF_JOB)
    assert {name: shown(frame) for name, frame in found.items()} == {"cpus": {"n1": 1.0}, "threads": {}}
    assert choose({"a": {}, "b": {}}, ("cpus",), "ab", OF_JOB) == ({}, None)


def test_what_one_exporter_alone_brings_is_left_as_it_is() -> None:
    own = values(n1=1.0)
    found, chosen = choose({"a": {"cpus": own}, "b": {}}, ("cpus",), "ab", OF_JOB)
    assert found["cpus"] is own
    assert chosen is None


@pytest.mark.parametrize(
    ("first", "others", "expected"),
    [
        ([OURS], [OTHER], [OURS]),
        ([OURS], [], [OURS]),
        ([], [OTHER], [OTHER]),
        ([OURS], [OTHER, Gpu("n1", "1", 0.3)], [OTHER, Gpu("n1", "1", 0.3)]),
        ([Gpu("n1", "GPU-1", None, 1.0)], [OTHER], [OTHER]),
        ([OURS], [OTHER, Gpu("n2", "0", 0.3)], [OURS, Gpu("n2", "0", 0.3)]),
    ],
    ids=["first", "alone", "not_shown", "fewer", "not_known", "by_node"],
)
def test_the_gpus_of_the_first_exporter_win_unless_they_are_fewer(
    first: list[Gpu], others: list[Gpu], expected: list[Gpu]
) -> None:
    by = {"a": gpus_frame({1: first}), "b": gpus_frame({1: others, 2: [OTHER]})}
    found = choose_gpus(by, OF_JOB, "utilization")
    assert found is not None
    assert gpus_by_job(found.drop(EXPORTER)) == {1: tuple(expected), 2: (OTHER,)}


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"UUID": "GPU-1", "gpu": "0"}, ("GPU-1", False)),
        ({"uuid": "GPU-1", "GPU_I_ID": "3"}, ("GPU-1/3", True)),
        ({"uuid": "MIG-1", "GPU_I_ID": "3"}, ("MIG-1", True)),
        ({"uuid": "MIG-1"}, ("MIG-1", True)),
        ({"gpu": "0"}, ("0", False)),
    ],
)
def test_the_labels_of_every_release_tell_gpus_apart(labels: dict[str, str], expected: tuple[object, ...]) -> None:
    row = {**dict.fromkeys(("UUID", "uuid", "gpu", "GPU_I_ID"), ""), **labels}
    provides = Provides(gpu_labels=("UUID", "uuid", "gpu"), slice="GPU_I_ID")
    assert gpu_names(pl.DataFrame([row]), provides).rows() == [expected]


def test_each_exporter_is_in_the_order_of_what_it_brings_and_a_site_may_change_it() -> None:
    for kind in PREFERRED:
        assert set(in_order(kind, PROVIDERS)) == {name for name, each in PROVIDERS.items() if kind in each.kinds}
    assert in_order("gpus", PROVIDERS)[0] == "dcgm_exporter"
    assert in_order("gpus", PROVIDERS, ["slurm_job_exporter"])[:2] == ("slurm_job_exporter", "dcgm_exporter")
    assert in_order("gpus", ["dcgm_exporter", "node_exporter"]) == ("dcgm_exporter",)
