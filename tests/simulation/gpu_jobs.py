"""Jobs with GPUs, each with what must be said of it."""

from typing import Any

from tests.simulation.builder import Builder
from tests.simulation.steps import FOREVER
from tests.simulation.world import GIB, HOUR, MINUTE

UNUSED, UNUSED_WARNING = ("gpu_unused", "critical"), ("gpu_unused", "warning")
PARTLY = ("gpu_partly_unused", "critical")
_NEVER = None


def add_gpu_jobs(make: Builder) -> None:
    """Add the running jobs that rules of waste are about."""
    for exporter in ("dcgm", "nvidia", ""):
        _by_use(make, {"gpu_exporter": exporter})
    _by_time(make)
    _blind(make)
    _of_several_nodes(make)
    _shared_boards(make)
    _meters(make)


def _by_use(make: Builder, settings: dict[str, Any]) -> None:
    start = -200 * MINUTE
    make.gpu("GPU busy", start, [0.9], **settings)
    make.gpu("GPU busy, CPUs idle", start, [0.8], busy=0.05, **settings)
    make.gpu("GPU never touched", start, [_NEVER], expected={UNUSED}, **settings)
    make.gpu("GPU open and idle", start, [0.0], expected={UNUSED}, **settings)
    make.gpu("several GPUs busy", start, [0.9, 0.8], **settings)
    make.gpu("one of four used", start, [0.9, _NEVER, _NEVER, _NEVER], expected={PARTLY}, **settings)
    make.gpu("one of two idle", start, [0.9, 0.0], expected={PARTLY}, **settings)
    make.gpu("GPU low", start, [0.2], expected={("gpu_low_utilization", "warning")}, **settings)
    make.gpu("GPU very low", start, [0.1], expected={("gpu_low_utilization", "critical")}, **settings)


def _by_time(make: Builder) -> None:
    for minutes, expected in ((40, set()), (85, {UNUSED_WARNING}), (150, {UNUSED})):
        make.gpu("GPU never touched so far", -minutes * MINUTE, [_NEVER], expected=expected)
        busy_until = [[(-268 * MINUTE, -minutes * MINUTE, 0.9), (-minutes * MINUTE, FOREVER, 0.0)]]
        make.gpu("GPU idle after activity", -268 * MINUTE, busy_until, expected=expected)
        gone = [[(-268 * MINUTE, -minutes * MINUTE, 0.9)]]
        make.gpu("GPU left after activity", -268 * MINUTE, gone, expected=expected)
    make.gpu("GPU busy, before there were samples", -60 * HOUR, [0.9], alone=True)
    # Of a job that is older than what was seen of it nothing is sure.
    make.gpu("unused, before there were samples", -60 * HOUR, [_NEVER], alone=True, possible={"gpu_unused"})
    pause = (-100 * MINUTE, -40 * MINUTE)
    parts = [(-200 * MINUTE, pause[0], 0.9), (*pause, 0.0), (pause[1], FOREVER, 0.9)]
    make.gpu("GPU job, suspended once", -200 * MINUTE, [parts], suspended=[pause])
    make.gpu("GPU job, suspended now", -200 * MINUTE, [[(-200 * MINUTE, -80 * MINUTE, 0.9)]],
             suspended=[(-80 * MINUTE, FOREVER)], state=2)  # fmt: skip


def _blind(make: Builder) -> None:
    """An exporter that is down sees nothing: a GPU without series is not idle for it."""
    start = -240 * MINUTE
    today = {"exporter_down": [(-170 * MINUTE, FOREVER)], "gpu_exporter": "dcgm"}
    always = {"exporter_down": [(-250 * MINUTE, FOREVER)]}
    shared = {"scrape_job": "compute", "host_job": "compute"}
    for name, settings in (
        ("exporter down for hours", today),
        ("exporter down since its start", always),
        ("exporter down, node_exporter up in the same scrape job", {**always, **shared}),
        ("exporter down for hours, node_exporter up in the same scrape job", {**today, **shared}),
    ):
        make.gpu(f"GPU busy, {name}", start, [0.9, 0.9], alone=True, **settings)
        make.gpu(f"GPU never touched, {name}", start, [_NEVER], alone=True, **settings)
    # The exporters of other nodes in the same scrape job are up, and show jobs.
    make.gpu("GPU busy, one scrape job for both exporters", start, [0.9], alone=True, **shared)
    # One that was away for long may have come back without sight of GPUs; one that never had it is not believed.
    for minutes, expected in ((3, {UNUSED}), (20, set())):
        outage = {"exporter_down": [(-180 * MINUTE, (minutes - 180) * MINUTE)], "gpu_exporter": "dcgm"}
        make.gpu(f"GPU busy, exporter down for {minutes} minutes", start, [0.9], alone=True, **outage)
        make.gpu(f"GPU never touched, exporter down for {minutes} minutes", start, [_NEVER], alone=True,
                 expected=expected, **outage)  # fmt: skip
    make.gpu("GPU never touched, exporter has never shown any", start, [_NEVER], alone=True, sighted=False)
    flapping = {"exporter_down": [((10 * number - 240) * MINUTE, (10 * number - 237) * MINUTE) for number in range(24)]}
    make.gpu("GPU busy, exporter flaps", start, [0.9], alone=True, **flapping)


def _of_several_nodes(make: Builder) -> None:
    start = -150 * MINUTE
    make.gpu("GPUs on two nodes", start, [0.9, 0.85], nodes=2)
    make.gpu("GPUs on two nodes, one node idle", start, [0.9, 0.9], nodes=2, idle=1, expected={PARTLY})
    make.gpu("GPUs on two nodes, never touched", start, [_NEVER, _NEVER], nodes=2, expected={UNUSED})


def _shared_boards(make: Builder) -> None:
    start = -170 * MINUTE
    for meter in ("redfish", "rapl"):
        board = make.node(gpus=1, meter=meter)
        for _ in range(4):
            make.shared(f"shard of a board, {meter}", start, board, 0.2, tres="1003=1", slice=0.0)
    slices = make.node(gpus=1, gpu_exporter="dcgm")
    make.shared("MIG slice", start, slices, 3 / 7 * 0.9, tres="1001=1,1004=1", slice=3 / 7, mig=0.9)
    make.shared("MIG slice, never touched", start, slices, None, tres="1001=1,1005=1", slice=4 / 7, mig=None,
                expected={UNUSED})  # fmt: skip


def _meters(make: Builder) -> None:
    for name, settings in (
        ("RAPL only", {"meter": "rapl", "gpu_exporter": "dcgm"}), ("no power meter", {"meter": "none"}),
        ("two replicas of Prometheus", {"replicas": ("A", "B"), "gpu_exporter": "nvidia"}),
        ("named with its domain", {"domain": ".hpc.example", "gpu_exporter": "dcgm"}),
        ("BMC gone for 20 minutes", {"meter_gone": [(-90 * MINUTE, -70 * MINUTE)], "gpu_exporter": "dcgm"}),
    ):  # fmt: skip
        make.gpu(f"GPUs busy, {name}", -190 * MINUTE, [0.9, 0.7], memory=64 * GIB, alone=True, **settings)


def add_ended_jobs(make: Builder) -> None:
    """Add GPU jobs that come and go."""
    for exporter in ("dcgm", ""):
        node = make.node(gpus=4, gpu_exporter=exporter)
        for index in range(4):
            at = -268 * MINUTE + make.random.uniform(0, 20 * MINUTE)
            while at < -30 * MINUTE:
                end = min(-MINUTE, at + make.random.choice((4, 11, 35, 80)) * MINUTE * make.random.uniform(0.8, 1.2))
                used = make.random.choice((0.9, 0.5, 0.0, _NEVER))
                make.gpu("ended GPU job", at, [used], end=end, on=[node], boards=[index], state=3)
                at = end + make.random.uniform(5, 400)
