"""What one more window adds to runs, users and nodes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.join.ledger import KEEP_ENDED_SECONDS, LedgerBook
from aggregator.model.accounting import JobState, Run
from aggregator.model.energy import Ledger, NodePower, PowerWindow, Prices, RunLedger
from aggregator.model.tres import Allocation
from aggregator.model.use import Gpu, Use

BEGIN = 1_700_000_000.0 - 1_700_000_000.0 % 60
PRICES = Prices(grams_per_kwh=30.0, pue=1.2, currency="CAD", per_kwh=0.1, cooling_share=0.25, cpu_hour=0.01)
NODE = NodePower(watts=200.0, static_watts=100.0, cpus=32.0, memory_bytes=float(2**38))


def make_run(run_id: int = 1, **changes: object) -> Run:
    run = Run(
        cluster="narval", run_id=run_id, job_id=100 + run_id, user="alice", account="def-kim", state=JobState.RUNNING,
        submit=BEGIN - 500, start=BEGIN - 400, allocated=Allocation(16, 2**30, 1, {}), nodes=("n1",),
    )  # fmt: skip
    return replace(run, **changes)  # type: ignore[arg-type]


def gpu_run(**changes: object) -> Run:
    return make_run(allocated=Allocation(8, 2**30, 1, {"a100": 2}), **changes)


def make_window(number: int = 0, **changes: object) -> PowerWindow:
    begin = BEGIN + 60 * number
    node = frozenset({"n1"})
    use = Use(time=begin + 60, cpus={101: {"n1": 16.0}}, gpus={}, healthy_nodes=node, gpu_nodes=node)
    return replace(PowerWindow(begin, begin + 60, use, {"n1": NODE}), **changes)  # type: ignore[arg-type]


def gpu_window(number: int, *utilizations: float, healthy: bool = True) -> PowerWindow:
    gpus = {101: tuple(Gpu("n1", str(index), value) for index, value in enumerate(utilizations))}
    nodes = frozenset({"n1"}) if healthy else frozenset[str]()
    return make_window(number, use=Use(time=BEGIN + 60 * (number + 1), gpus=gpus, healthy_nodes=nodes, gpu_nodes=nodes))


def add(*windows: PowerWindow, runs: tuple[Run, ...] = (), ledger: Ledger | None = None) -> Ledger:
    book = LedgerBook(ledger or Ledger(BEGIN), PRICES)
    for window in windows:
        book.add(window, runs or (make_run(),))
    return book.ledger()


def test_a_run_gains_its_share_of_the_static_power_and_all_that_it_causes() -> None:
    run = add(make_window()).runs[1]

    assert run.host_joules["two_part"] == pytest.approx(60 * (50 + 100))
    assert (run.since, run.until, run.power_seconds) == (BEGIN, BEGIN + 60, 60.0)


def test_users_and_nodes_gain_what_runs_gain() -> None:
    ledger = add(make_window(), make_window(1))

    assert ledger.users["alice", "def-kim"].joules == pytest.approx(18_000.0)
    assert ledger.nodes["n1"].joules == pytest.approx({"jobs": 18_000.0, "idle": 6_000.0, "unattributed": 0.0})
    assert ledger.window_end == BEGIN + 120


def test_co2_and_cost_follow_from_the_energy_and_the_factors() -> None:
    run = add(make_window()).runs[1]
    kwh = 9_000.0 / 3.6e6

    assert run.co2_grams == pytest.approx(kwh * 1.2 * 30)
    assert run.cost == pytest.approx(
        {
            ("electricity", "CAD"): kwh * 1.2 * 0.1,
            ("cooling", "CAD"): kwh * 1.2 * 0.1 * 0.25,
            ("hardware", "CAD"): 16 * 0.01 / 60,
        }
    )


def test_without_factors_nothing_is_priced() -> None:
    book = LedgerBook(Ledger(BEGIN), Prices())
    book.add(make_window(), (make_run(),))

    assert (book.ledger().runs[1].co2_grams, book.ledger().runs[1].cost) == (None, {})


def test_a_node_that_was_not_measured_gives_no_energy_which_is_not_zero() -> None:
    ledger = add(make_window(nodes={}))

    assert (ledger.runs[1].joules("two_part"), ledger.users["alice", "def-kim"].joules) == (None, None)
    assert (ledger.runs[1].power_coverage, ledger.nodes) == (0.0, {})


def test_a_run_pays_for_its_part_of_a_window_only() -> None:
    run = add(make_window(), runs=(make_run(start=BEGIN + 15, end=BEGIN + 45),)).runs[1]

    assert (run.since, run.until, run.power_seconds) == (BEGIN + 15, BEGIN + 45, 30.0)
    assert run.host_joules["allocation"] == pytest.approx(200 * 16 / 32 * 30)


@pytest.mark.parametrize(
    "run",
    [make_run(start=None), make_run(start=BEGIN + 60), make_run(end=BEGIN), make_run(start=BEGIN + 9, end=BEGIN + 9)],
)
def test_a_run_that_was_not_there_in_the_window_gains_nothing(run: Run) -> None:
    assert add(make_window(), runs=(run,)).runs == {}


def test_the_coverage_of_a_run_is_the_time_in_which_its_nodes_were_measured() -> None:
    wide = make_run(nodes=("n1", "n2"))

    assert add(make_window(), make_window(1, nodes={}), runs=(wide,)).runs[1].power_coverage == 0.25


def test_the_power_of_a_run_on_two_nodes_is_that_of_those_measured_and_says_so() -> None:
    """Or the jobs would not add up to their nodes."""
    book = LedgerBook(Ledger(BEGIN), PRICES)
    wide = make_run(nodes=("n1", "n2"))
    book.add(make_window(), (wide, make_run(2)))

    assert (book.power.jobs[1].coverage, book.power.jobs[2].coverage) == (0.5, 1.0)
    host = [power.host_watts["two_part"] for power in book.power.jobs.values() if power.host_watts]
    assert sum(host) == pytest.approx(book.power.nodes["n1"]["jobs"])


def test_a_window_that_is_covered_in_part_gives_a_part_of_the_joules() -> None:
    ledger = add(make_window(nodes={"n1": replace(NODE, covered=0.5)}))

    assert ledger.runs[1].host_joules["two_part"] == pytest.approx(30 * (50 + 100))
    assert (ledger.runs[1].power_seconds, ledger.nodes["n1"].power_seconds) == (30.0, 30.0)
    assert sum(ledger.nodes["n1"].joules.values()) == pytest.approx(30 * 200.0)


def test_a_fall_back_meter_adds_energy_and_covers_nothing() -> None:
    ledger = add(make_window(), make_window(1, nodes={"n1": replace(NODE, watts=100.0, meter="rapl")}))

    assert ledger.runs[1].meters == {"redfish": 60.0, "rapl": 60.0}
    assert ledger.runs[1].power_seconds == 60.0
    assert sum(ledger.nodes["n1"].joules.values()) == pytest.approx(60 * 300.0)
    assert (ledger.nodes["n1"].meter, ledger.nodes["n1"].fallback_seconds) == ("redfish", 60.0)


def test_the_only_meter_of_a_node_is_no_fall_back() -> None:
    ledger = add(make_window(nodes={"n1": replace(NODE, meter="rapl")}))

    assert (ledger.runs[1].power_seconds, ledger.nodes["n1"].meter) == (60.0, "rapl")


def test_a_job_whose_use_is_not_known_is_not_covered() -> None:
    use = Use(time=BEGIN + 60, cpus={}, gpus={}, healthy_nodes=frozenset())
    run = add(make_window(use=use)).runs[1]

    assert (run.power_seconds, run.joules("two_part")) == (0.0, pytest.approx(60 * 50.0))


def test_nothing_is_credited_where_the_power_of_a_node_is_not_known() -> None:
    """Own GPUs either: users would have more than the nodes."""
    ledger = add(make_window(nodes={}, job_gpu_watts={101: {"n1": [150.0]}}), runs=(gpu_run(),))

    assert (ledger.runs[1].joules("two_part"), ledger.users["alice", "def-kim"].joules, ledger.nodes) == (
        None,
        None,
        {},
    )


def test_a_suspended_run_holds_no_cpus() -> None:
    run = add(make_window(), runs=(make_run(state=JobState.SUSPENDED),)).runs[1]

    assert run.host_joules["allocation"] == 0.0
    assert run.cost.get(("hardware", "CAD"), 0.0) == 0.0


def test_jobs_add_up_to_the_jobs_part_of_their_node() -> None:
    book = LedgerBook(Ledger(BEGIN), PRICES)
    book.add(make_window(), (make_run(end=BEGIN + 20), make_run(2, start=BEGIN + 30)))
    watts = [power.host_watts["two_part"] for power in book.power.jobs.values() if power.host_watts]

    assert sum(watts) == pytest.approx(book.power.nodes["n1"]["jobs"])


def test_the_ledger_that_was_given_stays_as_it_is() -> None:
    before = add(make_window())
    kept = Ledger(before.window_end, dict(before.runs), dict(before.users), dict(before.nodes))
    add(make_window(1), ledger=before)

    assert before == kept


@given(st.integers(0, 12), st.lists(st.floats(0, 1e4), min_size=12, max_size=12))
def test_totals_do_not_depend_on_where_the_service_was_stopped(cut: int, watts: list[float]) -> None:
    """Windows added in one go, or in two with a restart between them, give the same totals."""
    windows = [make_window(number, nodes={"n1": replace(NODE, watts=value)}) for number, value in enumerate(watts)]

    assert add(*windows[cut:], ledger=add(*windows[:cut])) == add(*windows)


def test_idle_gpus_are_counted_until_one_is_busy() -> None:
    run = gpu_run()
    idle = add(gpu_window(0, 0.0, 0.0), gpu_window(1, 0.0, 0.0), runs=(run,))
    busy = add(gpu_window(2, 0.0, 0.5), runs=(run,), ledger=idle)

    assert (idle.runs[1].gpu_idle_seconds, idle.runs[1].gpu_partly_idle_seconds) == (120.0, 120.0)
    assert (busy.runs[1].gpu_idle_seconds, busy.runs[1].gpu_partly_idle_seconds) == (0.0, 180.0)
    assert busy.runs[1].gpu_utilization == pytest.approx(0.5 / 6)


def test_gpus_without_any_series_are_idle_while_the_exporter_answers() -> None:
    assert add(gpu_window(0), runs=(gpu_run(),)).runs[1].gpu_idle_seconds == 60.0


def test_slices_have_their_part_of_what_the_boards_drew() -> None:
    """The exporter repeats a board's power for each slice: seven slices would be seven boards."""
    node = replace(NODE, watts=1000.0, gpu_watts=700.0, gpus=2)
    run = make_run(allocated=Allocation(8, 2**30, 1, {"a100_1g.5gb": 7}))
    other = make_run(2, allocated=Allocation(8, 2**30, 1, {"a100_3g.20gb": 1}))
    ledger = add(make_window(nodes={"n1": node}), runs=(run, other))

    assert ledger.runs[1].gpu_joules == pytest.approx(60 * 700 / 2)
    assert ledger.runs[2].gpu_joules == pytest.approx(60 * 700 / 2 * 3 / 7)
    assert sum(ledger.nodes["n1"].joules.values()) == pytest.approx(60 * 1000.0)


def test_an_exporter_that_is_down_says_nothing_about_gpus() -> None:
    run = add(gpu_window(0, 0.0, 0.0), gpu_window(1, healthy=False), runs=(gpu_run(),)).runs[1]

    assert run.gpu_seconds == 120.0


def test_time_that_was_not_observed_neither_adds_to_an_idle_stretch_nor_subtracts() -> None:
    """How much of it there was is kept, for the rules: ten idle minutes twice are not twenty."""
    seen = [gpu_window(number, 0.0, 0.0) for number in range(10)]
    dark = [gpu_window(10 + number, healthy=False) for number in range(3)]
    run = add(*seen, *dark, gpu_window(13, 0.0, 0.0), runs=(gpu_run(),)).runs[1]
    busy = add(*seen, *dark, gpu_window(13, 0.5, 0.0), runs=(gpu_run(),)).runs[1]

    assert (run.gpu_idle_seconds, run.gpu_unseen_seconds) == (11 * 60.0, 3 * 60.0)
    assert (busy.gpu_idle_seconds, busy.gpu_unseen_seconds) == (0.0, 0.0)
    assert (busy.gpu_partly_idle_seconds, busy.gpu_partly_unseen_seconds) == (11 * 60.0, 3 * 60.0)


def test_the_edges_of_a_run_do_not_judge_its_gpus() -> None:
    """A sample at the edge of a window may be of the run before or after it."""
    run = add(gpu_window(0), runs=(gpu_run(start=BEGIN + 5),)).runs[1]

    assert (run.gpu_idle_seconds, run.gpu_seconds) == (0.0, 0.0)


def test_the_power_of_its_own_gpus_is_the_runs() -> None:
    window = make_window(job_gpu_watts={101: {"n1": [150.0]}, 102: {"n2": [999.0]}})
    run = add(window, runs=(gpu_run(),)).runs[1]

    assert (run.gpu_joules, run.joules("allocation")) == (9_000.0, pytest.approx(9_000.0 + 60 * 50 * 8 / 32))


def test_runs_that_ended_long_ago_leave_the_ledger_in_memory() -> None:
    old = {7: RunLedger(0.0, BEGIN - KEEP_ENDED_SECONDS)}

    assert set(add(make_window(), ledger=Ledger(BEGIN, old)).runs) == {1}


def test_the_hours_of_gpus_are_priced_by_type_or_not_at_all() -> None:
    book = LedgerBook(Ledger(BEGIN), Prices(currency="CAD", cpu_hour=9.0, gpu_hour={"a100": 0.6}))
    book.add(make_window(nodes={}), (gpu_run(), make_run(2, allocated=Allocation(8, 1, 1, {"h100": 1}))))

    assert book.ledger().runs[1].cost == {("hardware", "CAD"): pytest.approx(0.02)}
    assert book.ledger().runs[2].cost == {}
