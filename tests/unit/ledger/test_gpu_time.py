"""For how long GPUs are used and idle, and what that rests on."""

from typing import Any

from tests.unit.ledger.ledger_site import BEGIN, Row, Site, gpu_row, node_row, run_row

Window = tuple[float, ...] | None


def site(*windows: Window, run: Row | None = None, gpu_type: str = "a100") -> Site:
    """Make a run with two GPUs that show these utilisations in each window; None: the exporter is down."""
    vouches = ("vouches_cpus", "vouches_memory", "vouches_gpus")
    nodes = tuple(
        node_row(number, **dict.fromkeys(vouches, window is not None)) for number, window in enumerate(windows)
    )
    gpus = tuple(gpu_row(number, utilization=value) for number, window in enumerate(windows) for value in window or ())
    return Site(len(windows), (run or run_row(),), nodes, (), gpus, {1: {gpu_type: 2}})


def gpu_time(of: Site, *cuts: int) -> dict[str, Any]:
    return {name: value for name, value in of.totals(*cuts).runs.row(0, named=True).items() if name.startswith("gpu_")}


def seconds(of: dict[str, Any], *names: str) -> list[float]:
    return [of[f"gpu_{name}_seconds"] for name in names]


def test_idle_gpus_are_counted_until_one_is_busy() -> None:
    idle, busy = gpu_time(site((0.0, 0.0), (0.0, 0.0))), gpu_time(site((0.0, 0.0), (0.0, 0.0), (0.0, 0.5)))

    assert seconds(idle, "idle", "partly_idle") == [120.0, 120.0]
    assert seconds(busy, "idle", "partly_idle", "used") == [0.0, 180.0, 30.0]
    assert busy["gpu_seconds"] == 360.0


def test_a_stretch_goes_on_after_a_restart_and_ends_where_it_would_have() -> None:
    windows: list[Window] = [(0.0, 0.0), (0.5, 0.5), (0.0, 0.0), None, (0.0, 0.5), (0.0, 0.0)]

    for cut in range(len(windows)):
        assert gpu_time(site(*windows), cut) == gpu_time(site(*windows))
    assert seconds(gpu_time(site(*windows)), "idle", "partly_idle", "unseen", "partly_unseen") == [60, 180, 0, 60]


def test_all_that_are_busy_end_both_stretches() -> None:
    assert seconds(gpu_time(site((0.0, 0.0), None, (0.1, 1.0))), "idle", "partly_idle", "unseen", "partly_unseen") == [
        0.0, 0.0, 0.0, 0.0,
    ]  # fmt: skip


def test_gpus_without_any_series_are_idle_while_the_exporter_answers() -> None:
    assert seconds(gpu_time(site(())), "idle", "unseen") == [60.0, 0.0]


def test_an_exporter_that_is_down_says_nothing_about_gpus() -> None:
    run = gpu_time(site((0.0, 0.0), None))

    assert run["gpu_seconds"] == 120.0
    assert seconds(run, "idle", "unseen", "partly_unseen") == [60.0, 60.0, 60.0]


def test_a_gpu_that_shows_itself_is_seen_though_nobody_vouches_for_the_others() -> None:
    """One of two on the run's only node is busy: that node's exporter does answer, the other GPU is idle."""
    of = site(None)
    shown = Site(1, of.runs, of.nodes, (), (gpu_row(utilization=1.0),), of.gpus_of)

    assert gpu_time(shown)["gpu_seconds"] == 120.0
    assert seconds(gpu_time(shown), "idle", "partly_idle") == [0.0, 60.0]


def test_half_of_the_nodes_is_not_enough_to_call_gpus_idle() -> None:
    wide = run_row(nodes=["n1", "n2"])

    assert seconds(gpu_time(site((0.0,), run=wide)), "idle", "unseen") == [0.0, 60.0]
    assert seconds(gpu_time(site((1.0,), run=wide)), "unseen", "partly_unseen", "used") == [0.0, 60.0, 60.0]


def test_four_of_five_gpus_are_enough_to_call_them_idle() -> None:
    names = [f"n{number}" for number in range(1, 6)]
    nodes = tuple(node_row(node=name, vouches_gpus=name != "n5") for name in names)
    five = Site(1, (run_row(nodes=names),), nodes, gpus_of={1: {"a100": 5}})

    assert seconds(gpu_time(five), "idle", "unseen") == [60.0, 0.0]


def test_the_gpus_of_a_run_whose_nodes_are_not_known_are_those_of_its_job() -> None:
    assert seconds(gpu_time(site((0.0, 1.0), run=run_row(nodes=[]))), "used", "partly_idle") == [60.0, 60.0]


def test_gpus_on_nodes_of_another_run_are_not_its_own() -> None:
    assert gpu_time(site((1.0, 1.0), run=run_row(nodes=["n2"])))["gpu_seconds"] == 0.0


def test_no_more_gpus_are_judged_than_the_run_holds() -> None:
    run = gpu_time(site((1.0, 1.0, 1.0, 0.0)))

    assert (run["gpu_seconds"], run["gpu_used_seconds"]) == (120.0, 0.75 * 120)


def test_the_edges_of_a_run_do_not_judge_its_gpus() -> None:
    """A sample at the edge of a window may be of the run before or after it."""
    run = gpu_time(site((0.0, 0.0), run=run_row(start=BEGIN + 5)))

    assert seconds(run, "idle", "unseen") == [0.0, 55.0]
    assert run["gpu_seconds"] == 0.0


def test_a_suspended_run_could_not_use_its_gpus() -> None:
    assert set(gpu_time(site((0.0, 0.0), run=run_row(is_suspended=True))).values()) == {0.0}


def test_a_slice_is_a_gpu_of_its_own() -> None:
    assert gpu_time(site((0.0, 0.5), gpu_type="a100_1g.5gb"))["gpu_seconds"] == 120.0
