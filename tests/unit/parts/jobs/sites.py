"""Random small sites, in which ids and nodes come together often: runs, and what Prometheus has of them."""

from typing import Any

from hypothesis import strategies as st

from aggregator.model.accounting import JobState, Run
from aggregator.model.job_inputs import Use
from tests.builders import HOSTILE_NAMES, NOW, make_allocation, make_run, make_use
from tests.use import Base, Gpu

NODES = ("n1", "n2", "n3")
_IDS = st.integers(1, 4)
_AGO = st.sampled_from([0.0, 10.0, 29.0, 30.0, 60.0, 119.0, 121.0, 600.0, 3600.0, 90_000.0])
_OWNERS = st.sampled_from(["ada", "bob", *HOSTILE_NAMES])
_AMOUNT = st.one_of(st.just(0.0), st.floats(0.001, 1e12, allow_nan=False))


def _maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


@st.composite
def runs(draw: st.DrawFn) -> list[Run]:
    """Draw the runs of some job ids: waiting, running, suspended, resized, requeued, ended."""
    return [draw(_run(run_id)) for run_id in range(1, draw(st.integers(1, 6)) + 1)]


@st.composite
def _run(draw: st.DrawFn, run_id: int) -> Run:
    ago = draw(_AGO)
    start = draw(st.sampled_from([None, NOW - ago, NOW - ago, NOW + 5]))
    ended = start is not None and draw(st.booleans())
    end = draw(st.sampled_from([NOW - ago, NOW - ago / 2, NOW])) if ended else None
    state = draw(st.sampled_from([JobState.PENDING, JobState.RUNNING, JobState.RUNNING, JobState.SUSPENDED]))
    suspended = state is JobState.SUSPENDED and start is not None
    return make_run(
        run_id=run_id, job_id=draw(_IDS), user=draw(_OWNERS), account=draw(_OWNERS), name=draw(_OWNERS),
        state=state if end is None else JobState.COMPLETED, submit=NOW - ago - draw(_AGO), start=start, end=end,
        suspended_seconds=draw(st.sampled_from([0.0, 7.0])), pending_tasks=draw(st.sampled_from([0, 0, 5])),
        suspended_since=NOW - ago / 2 if suspended and draw(st.booleans()) else None,
        job_start=NOW - ago - 60 if start is not None and draw(st.booleans()) else None,
        time_limit_seconds=draw(st.sampled_from([None, 60.0, 7200.0])),
        allocated=make_allocation(
            cpus=draw(st.sampled_from([0, 1, 8])), memory_bytes=draw(st.sampled_from([None, 0, 2**30])),
            nodes=draw(st.integers(0, 3)),
            gpus=draw(st.dictionaries(st.sampled_from(["", "a100", "a100_3g.20gb"]), st.integers(1, 3), max_size=2)),
        ),
        nodes=tuple(draw(st.lists(st.sampled_from(NODES), unique=True, max_size=3))),
    )  # fmt: skip


_OF_NODES = st.dictionaries(_IDS, st.dictionaries(st.sampled_from(NODES), _AMOUNT, max_size=3), max_size=4)
_TIMES = st.dictionaries(
    _IDS, st.dictionaries(st.sampled_from(NODES), _AGO.map(lambda ago: NOW - ago), max_size=3), max_size=4
)
_GPU = st.builds(
    Gpu, node=st.sampled_from(NODES), index=st.just("0"), utilization=_maybe(st.sampled_from([0.0, 0.5, 1.0])),
    memory_bytes=_maybe(_AMOUNT),
)  # fmt: skip
_NAMES = st.frozensets(st.sampled_from(NODES))


def uses() -> st.SearchStrategy[Use]:
    """Draw what Prometheus has; any input may have failed, or be of some time ago."""
    return st.builds(
        make_use, time=st.just(NOW), interval=st.just(30.0), cpu_window=st.just(120.0), cpus=_maybe(_OF_NODES),
        cpu_seconds=_maybe(_OF_NODES), sampled_at=_maybe(_TIMES), memory_bytes=_maybe(_OF_NODES),
        memory_peak_bytes=_maybe(_OF_NODES), threads=_maybe(_OF_NODES),
        gpus=_maybe(st.dictionaries(_IDS, st.lists(_GPU, max_size=4).map(tuple))), healthy_nodes=_maybe(_NAMES),
        gpu_nodes=_maybe(_NAMES), oldest=st.sampled_from([None, NOW - 40]),
    )  # fmt: skip


_BASE_VALUES = st.dictionaries(st.sampled_from(NODES), _AMOUNT)


def bases() -> st.SearchStrategy[dict[int, Base]]:
    """Draw what the counters of some runs showed when these began."""
    times = st.dictionaries(st.sampled_from(NODES), _AGO.map(lambda ago: NOW - ago))
    return st.dictionaries(
        st.integers(1, 6),
        st.tuples(times, _BASE_VALUES, _BASE_VALUES).map(
            lambda found: Base(
                found[0],
                {node: value for node, value in found[1].items() if node in found[0]},
                {node: value for node, value in found[2].items() if node in found[0]},
            )
        ),
    )
