"""Whose is the energy of a node: conservation for every model, and the formulas of docs/energy.md."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.join.attribution import Attribution, Shares, Tenant, attribute
from aggregator.model.energy import MODELS, NodePower

WINDOW = 60.0
watts = st.one_of(st.none(), st.floats(0, 1e5))
amount = st.one_of(st.none(), st.floats(0, 1e4))
tenants = st.lists(
    st.builds(
        Tenant,
        seconds=st.floats(0.001, WINDOW),
        cpus=st.floats(0, 512),
        memory_bytes=st.floats(0, 1e13),
        gpus=st.floats(0, 16),
        busy_cpus=amount,
        used_memory_bytes=st.one_of(st.none(), st.floats(0, 1e13)),
        gpu_watts=watts,
        unseen_gpus=st.floats(0, 16),
    ),
    max_size=8,
)
nodes = st.builds(
    NodePower,
    watts=watts,
    gpu_watts=watts,
    static_watts=watts,
    cpus=st.one_of(st.none(), st.floats(1, 512)),
    busy_cpus=amount,
    memory_bytes=st.one_of(st.none(), st.floats(1, 1e13)),
    gpus=st.one_of(st.none(), st.integers(0, 16)),
    dram_share=st.one_of(st.none(), st.floats(0, 1)),
)


def total(shares: Shares) -> float:
    return sum(shares.tenants) + shares.idle + shares.unattributed


def host(node: NodePower, *present: Tenant, model: str) -> Shares:
    return attribute(node, present, WINDOW).host[model]


@given(node=nodes, present=tenants)
def test_jobs_and_idle_and_unattributed_add_up_to_what_was_measured(node: NodePower, present: list[Tenant]) -> None:
    shared = attribute(node, present, WINDOW)
    if node.watts is None:
        assert shared.host == {}
        return
    for model in MODELS:
        assert total(shared.host[model]) + total(shared.gpu) == pytest.approx(node.watts * WINDOW, rel=1e-9, abs=1e-6)


@given(node=nodes, present=tenants)
def test_nothing_is_negative_and_every_tenant_has_its_share(node: NodePower, present: list[Tenant]) -> None:
    shared: Attribution = attribute(node, present, WINDOW)
    for shares in (shared.gpu, *shared.host.values()):
        assert len(shares.tenants) == len(present)
        assert min([*shares.tenants, shares.idle, shares.unattributed]) >= 0


def test_the_power_of_an_empty_node_is_idle() -> None:
    node = NodePower(watts=200.0, static_watts=150.0, cpus=32.0)

    for model in MODELS:
        assert host(node, model=model) == Shares((), 12_000.0, 0.0)


def test_allocation_shares_the_host_by_cpus() -> None:
    """The portal's formula: node power × job's CPUs ÷ node's CPUs; the CPUs that nobody holds are idle."""
    shares = host(NodePower(watts=320.0, cpus=32.0), Tenant(WINDOW, 8), Tenant(WINDOW, 16), model="allocation")

    assert shares == Shares((4_800.0, 9_600.0), 4_800.0, 0.0)


def test_allocation_shares_the_host_of_a_gpu_job_by_gpus_and_adds_its_own() -> None:
    """The portal's formula: (node − all GPUs) × job's GPUs ÷ node's GPUs + the job's GPUs."""
    node = NodePower(watts=1_000.0, gpu_watts=600.0, cpus=48.0, gpus=4)
    shared = attribute(node, [Tenant(WINDOW, 12, gpus=1, gpu_watts=300.0)], WINDOW)

    assert shared.host["allocation"].tenants == (400.0 / 4 * WINDOW,)
    assert shared.gpu == Shares((300.0 * WINDOW,), 300.0 * WINDOW, 0.0)


def test_two_part_shares_the_static_power_by_the_larger_of_cpu_and_memory() -> None:
    node = NodePower(watts=100.0, static_watts=100.0, cpus=32.0, memory_bytes=100.0)
    shares = host(node, Tenant(WINDOW, 8, memory_bytes=50.0, busy_cpus=8.0), model="two_part")

    assert shares == Shares((3_000.0,), 3_000.0, 0.0)


def test_two_part_shares_what_is_above_the_static_power_by_cpu_time() -> None:
    node = NodePower(watts=400.0, static_watts=100.0, cpus=32.0)
    busy, idle = Tenant(WINDOW, 16, busy_cpus=15.0), Tenant(WINDOW, 16, busy_cpus=5.0)
    shares = host(node, busy, idle, model="two_part")

    assert shares.tenants == pytest.approx((WINDOW * (50 + 225), WINDOW * (50 + 75)))


def test_what_the_system_itself_uses_is_no_jobs() -> None:
    """A job that sleeps on an otherwise empty node must not be charged the daemons' work."""
    node = NodePower(watts=200.0, static_watts=100.0, cpus=32.0, busy_cpus=2.0)
    shares = host(node, Tenant(WINDOW, 32, busy_cpus=0.001), model="two_part")

    assert shares.tenants[0] == pytest.approx(WINDOW * (100 + 100 * 0.001 / 2))
    assert shares.unattributed == pytest.approx(WINDOW * 100 * 1.999 / 2)


def test_a_job_whose_use_is_not_known_leaves_its_part_unattributed() -> None:
    node = NodePower(watts=400.0, static_watts=0.0, cpus=32.0)
    shares = host(node, Tenant(WINDOW, 24, busy_cpus=24.0), Tenant(WINDOW, 8), model="two_part")

    assert shares == Shares((pytest.approx(18_000.0), 0.0), 0.0, pytest.approx(6_000.0))


def test_usage_shares_a_tenth_evenly_and_the_rest_by_cpu_time() -> None:
    shares = host(
        NodePower(watts=100.0), Tenant(WINDOW, 4, busy_cpus=3.0), Tenant(WINDOW, 4, busy_cpus=1.0), model="usage"
    )

    assert shares.tenants == pytest.approx((WINDOW * (5 + 67.5), WINDOW * (5 + 22.5)))


def test_usage_gives_the_memorys_part_to_those_who_use_memory() -> None:
    node = NodePower(watts=100.0, dram_share=0.5)
    idle = Tenant(WINDOW, 4, busy_cpus=0.0, used_memory_bytes=1e9)
    busy = Tenant(WINDOW, 4, busy_cpus=4.0, used_memory_bytes=0.0)

    assert host(node, idle, busy, model="usage").tenants == pytest.approx((WINDOW * 50, WINDOW * 50))


def test_a_node_of_unknown_size_is_nobodys() -> None:
    assert host(NodePower(watts=100.0), Tenant(WINDOW, 4), model="allocation") == Shares((0.0,), 0.0, 6_000.0)


def test_a_job_of_half_a_window_pays_half() -> None:
    node = NodePower(watts=100.0, static_watts=100.0, cpus=4.0)

    assert host(node, Tenant(30.0, 4), model="two_part") == Shares((3_000.0,), 3_000.0, 0.0)


def test_reservations_beyond_the_node_are_scaled_down() -> None:
    node = NodePower(watts=100.0, static_watts=100.0, cpus=4.0, memory_bytes=100.0)
    shares = host(node, Tenant(WINDOW, 4), Tenant(WINDOW, 0, memory_bytes=100.0), model="two_part")

    assert shares == Shares((3_000.0, 3_000.0), 0.0, 0.0)


def test_gpus_that_nobody_holds_are_idle_and_those_that_cannot_be_seen_unattributed() -> None:
    node = NodePower(watts=1_000.0, gpu_watts=400.0)

    assert attribute(node, [Tenant(WINDOW, 4)], WINDOW).gpu.idle == 24_000.0
    assert attribute(node, [Tenant(WINDOW, 4, gpus=2, unseen_gpus=2)], WINDOW).gpu.unattributed == 24_000.0


def test_gpus_without_a_series_share_the_rest_with_those_that_nobody_holds() -> None:
    """Four GPUs draw 400 W, one busy one 250 W of it: the three idle ones 50 W each, two of them the silent job's."""
    busy, silent = Tenant(WINDOW, 4, gpus=1, gpu_watts=250.0), Tenant(WINDOW, 4, gpus=2, unseen_gpus=2)
    shared = attribute(NodePower(watts=1_000.0, gpu_watts=400.0, gpus=4), [busy, silent], WINDOW)

    assert shared.gpu == Shares((15_000.0, 6_000.0), 3_000.0, 0.0)


def test_gpus_that_a_job_has_not_opened_are_its_own_beside_those_that_it_has() -> None:
    """Four GPUs draw 400 W; the job has all of them and opened one, which draws 250 W."""
    job = Tenant(WINDOW, 4, gpus=4, gpu_watts=250.0, unseen_gpus=3)
    shared = attribute(NodePower(watts=1_000.0, gpu_watts=400.0, gpus=4), [job], WINDOW)

    assert shared.gpu == Shares((24_000.0,), 0.0, 0.0)


def test_gpus_never_take_more_than_the_node() -> None:
    """The chassis averages over longer than the GPUs: their sum is cut to what the node drew."""
    present = [Tenant(WINDOW, 4, gpus=1, gpu_watts=300.0), Tenant(WINDOW, 4, gpus=1, gpu_watts=100.0)]
    shared = attribute(NodePower(watts=200.0, cpus=8.0), present, WINDOW)

    assert shared.gpu.tenants == (9_000.0, 3_000.0)
    assert total(shared.host["two_part"]) == 0.0


def test_gpu_power_is_known_where_the_node_is_not_measured() -> None:
    shared = attribute(NodePower(), [Tenant(WINDOW, 4, gpus=1, gpu_watts=300.0)], WINDOW)

    assert shared == Attribution(Shares((18_000.0,), 0.0, 0.0), {})
