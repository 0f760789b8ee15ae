import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.join.efficiency import COVERAGE_FLOOR, FairShare, efficiency
from aggregator.model.accounting import JobState
from aggregator.model.energy import RunLedger
from aggregator.model.view import NO_USE, Efficiency, GpuUse, JobUse
from tests.builders import FAIR_SHARE, GIB, NOW, make_allocation, make_ledger, make_run


def judge(use: JobUse = NO_USE, **changes: object) -> Efficiency:
    """Judge a run of 3600 s with 8 CPUs and 64 GiB."""
    return efficiency(make_run(**changes), use, FAIR_SHARE, NOW)


def test_cpu_efficiency_is_cpu_time_used_per_cpu_time_held() -> None:
    assert judge(JobUse(cpu_seconds=3600.0 * 2)).cpu == 0.25


def test_cpu_efficiency_leaves_suspensions_out() -> None:
    assert judge(JobUse(cpu_seconds=1800.0 * 8), suspended_seconds=1800.0).cpu == 1.0


def test_memory_efficiency_is_the_peak_per_memory_held() -> None:
    assert judge(JobUse(memory_bytes=1.0, memory_peak_bytes=16.0 * GIB)).memory == 0.25


def test_time_limit_used_is_elapsed_per_limit() -> None:
    assert judge().time_limit_used == 0.5


@pytest.mark.parametrize("changes", [{"time_limit_seconds": None}, {"start": None, "state": JobState.PENDING}])
def test_time_limit_used_needs_a_limit_and_a_start(changes: dict[str, object]) -> None:
    assert judge(**changes).time_limit_used is None


def test_what_is_not_known_stays_unknown() -> None:
    known = judge()
    assert known == Efficiency(time_limit_used=0.5)


@pytest.mark.parametrize(
    "changes",
    [
        {"start": NOW},
        {"allocated": make_allocation(cpus=0, memory_bytes=0)},
    ],
)
def test_a_ratio_of_nothing_held_is_not_known(changes: dict[str, object]) -> None:
    assert judge(JobUse(cpu_seconds=5.0), **changes).cpu is None


def test_wasted_cpus_are_held_and_not_busy() -> None:
    assert judge(JobUse(cpus=2.5, cpu_coverage=1.0)).wasted_cpus == 5.5


def test_wasted_cpus_are_those_of_the_nodes_that_were_seen() -> None:
    assert judge(JobUse(cpus=2.0, cpu_coverage=0.875)).wasted_cpus == 5.0


@pytest.mark.parametrize("coverage", [None, 0.0, 0.79])
def test_nothing_is_called_wasted_below_the_coverage_floor(coverage: float | None) -> None:
    assert judge(JobUse(cpus=2.0, cpu_coverage=coverage)).wasted_cpus is None
    if coverage is not None:
        gpu = GpuUse(coverage=coverage, judged=1.0, utilization=0.0)
        assert judge(JobUse(gpu=gpu)).wasted_gpus is None


def test_at_the_floor_waste_is_judged() -> None:
    gpu = GpuUse(coverage=COVERAGE_FLOOR, judged=4.0, utilization=0.25)
    judged = judge(JobUse(cpus=0.0, cpu_coverage=COVERAGE_FLOOR, gpu=gpu))
    assert judged.wasted_cpus == pytest.approx(6.4)
    assert judged.wasted_gpus == 3.0


def test_busier_than_held_wastes_nothing() -> None:
    assert judge(JobUse(cpus=9.5, cpu_coverage=1.0)).wasted_cpus == 0.0


def test_memory_within_the_fair_share_is_not_wasted() -> None:
    """64 GiB with 16 CPUs × 4 GiB × 1.1: nobody else could have used it."""
    run = {"allocated": make_allocation(cpus=16, memory_bytes=70 * GIB)}
    assert judge(JobUse(memory_peak_bytes=1.0), **run).wasted_memory_bytes == 0.0


def test_memory_above_the_fair_share_is_wasted() -> None:
    wasted = judge(JobUse(memory_peak_bytes=1.0), allocated=make_allocation(cpus=1, memory_bytes=64 * GIB))
    assert wasted.wasted_memory_bytes == pytest.approx((64 - 4.4) * GIB)


def test_memory_above_the_peak_is_wasted_when_that_is_over_the_fair_share() -> None:
    run = {"allocated": make_allocation(cpus=1, memory_bytes=64 * GIB)}
    assert judge(JobUse(memory_peak_bytes=60.0 * GIB), **run).wasted_memory_bytes == 4.0 * GIB


def test_the_fair_share_of_a_gpu_job_is_that_of_its_gpus() -> None:
    share = FairShare(memory_per_cpu=GIB, memory_per_gpu=100 * GIB)
    assert share.memory(cpus=64, gpus=2) == pytest.approx(220 * GIB)
    assert share.memory(cpus=64, gpus=0) == pytest.approx(70.4 * GIB)


def test_a_gpu_job_within_its_gpus_share_wastes_no_memory() -> None:
    run = {"allocated": make_allocation(cpus=1, memory_bytes=128 * GIB, gpus={"a100": 1})}
    assert judge(JobUse(memory_peak_bytes=1.0), **run).wasted_memory_bytes == 0.0


def test_a_gpu_a_little_over_full_wastes_nothing() -> None:
    """A utilisation up to 1.005 is accepted at the source: rounding of 100 percent."""
    gpu = GpuUse(coverage=1.0, observed=1, busy=1, judged=1.0, utilization=1.005)
    assert judge(JobUse(gpu=gpu), allocated=make_allocation(gpus={"a100": 1})).wasted_gpus == 0.0


def test_the_cpus_that_come_with_gpus_are_a_share_of_the_node() -> None:
    share = FairShare(cpus_per_gpu=10)
    assert (share.cpus(gpus=2), share.cpus(gpus=0)) == (pytest.approx(22.0), 0.0)


def test_wasted_cpu_time_is_held_and_not_used_since_the_start() -> None:
    assert judge(JobUse(cpu_seconds=3600.0 * 2)).wasted_cpu_seconds == 3600.0 * 6
    assert judge(JobUse(cpu_seconds=3600.0 * 9)).wasted_cpu_seconds == 0.0
    assert judge().wasted_cpu_seconds is None


def test_old_use_is_compared_with_the_time_that_it_is_of() -> None:
    seen = judge(JobUse(cpu_seconds=1800.0 * 8, observed_seconds=1800.0))
    assert (seen.cpu, seen.wasted_cpu_seconds, seen.time_limit_used) == (1.0, 0.0, 0.5)


def test_wasted_gpu_time_is_what_the_ledger_saw_unused() -> None:
    def wasted(ledger: RunLedger | None) -> float | None:
        return efficiency(make_run(), NO_USE, FAIR_SHARE, NOW, ledger=ledger).wasted_gpu_seconds

    assert wasted(make_ledger()) == 1800.0
    assert wasted(make_ledger(gpu_used_seconds=3601.0)) == 0.0
    assert wasted(make_ledger(gpu_seconds=0.0, gpu_used_seconds=0.0)) is None
    assert wasted(None) is None


AMOUNT = st.none() | st.floats(0, 1e18)
COVERAGE = st.none() | st.floats(0, 1)


@given(
    st.builds(
        JobUse, cpus=AMOUNT, cpu_seconds=AMOUNT, memory_bytes=AMOUNT, memory_peak_bytes=AMOUNT,
        cpu_coverage=COVERAGE, memory_coverage=COVERAGE,
        gpu=st.none() | st.builds(
            GpuUse, coverage=st.floats(0, 1), judged=st.floats(0, 8),
            utilization=st.sampled_from([None, 1.005]) | st.floats(0, 1),
        ),
    ),
    st.builds(make_allocation, cpus=st.integers(0, 512), memory_bytes=st.integers(0, 2**50),
              gpus=st.dictionaries(st.sampled_from(["a100", ""]), st.integers(0, 8))),
    st.none() | st.floats(NOW - 1e6, NOW + 1e6),
)  # fmt: skip
def test_no_number_is_ever_negative(use: JobUse, allocated: object, start: float | None) -> None:
    judged = judge(use, allocated=allocated, start=start)
    values = (judged.cpu, judged.memory, judged.time_limit_used, judged.wasted_cpus, judged.wasted_memory_bytes,
              judged.wasted_gpus, judged.wasted_cpu_seconds)  # fmt: skip
    assert all(value >= 0 for value in values if value is not None)
    assert judged.wasted_cpus is None or judged.wasted_cpus <= allocated.cpus  # type: ignore[attr-defined]
