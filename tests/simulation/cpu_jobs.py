"""Jobs without GPUs, each with what must be said of it."""

from tests.simulation.builder import Builder
from tests.simulation.steps import FOREVER, Steps
from tests.simulation.world import GIB, HOUR, MINUTE, QUIET_UNTIL

SERIAL = ("cpu_serial", "critical")
_LOW = ("cpu_low", "critical")


def add_cpu_jobs(make: Builder) -> None:
    """Add the running jobs that rules of waste are about."""
    _by_use(make)
    _by_memory(make)
    _of_several_nodes(make)
    _blind(make)
    _with_a_history(make)


def _by_use(make: Builder) -> None:
    for start in (-200 * MINUTE, -95 * MINUTE, -45 * MINUTE):
        make.cpu("busy CPU", start, 4, 3.8)
        make.cpu("idle CPU", start, 4, 0.05, expected={SERIAL})
        make.cpu("idle CPU, one", start, 1, 0.02, expected={_LOW})
        make.cpu("serial on many", start, 8, 0.97, expected={SERIAL})
        make.cpu("serial on two", start, 2, 1.02, expected={("cpu_serial", "warning")})
        make.cpu("low", start, 8, 5.2, expected={("cpu_low", "warning")})
        make.cpu("very low", start, 8, 3.2, expected={_LOW})
    for start in (-25 * MINUTE, -12 * MINUTE, -5 * MINUTE):
        make.cpu("young and idle", start, 4, 0.0)
        make.cpu("young and busy", start, 2, 1.9)


def _by_memory(make: Builder) -> None:
    for start in (-180 * MINUTE, -50 * MINUTE):
        much = {"memory": 24 * GIB}
        make.cpu("memory far above the fair share", start, 2, 1.9, **much, peak=1 * GIB,
                 expected={("memory_overrequested", "critical")})  # fmt: skip
        make.cpu("memory above the fair share", start, 2, 1.9, **much, peak=8 * GIB,
                 expected={("memory_overrequested", "warning")})  # fmt: skip
        make.cpu("memory within the fair share", start, 4, 3.9, memory=16 * GIB, peak=1 * GIB)
        make.cpu("much memory, used", start, 2, 1.95, **much, peak=20 * GIB)


def _of_several_nodes(make: Builder) -> None:
    for start in (-150 * MINUTE, -40 * MINUTE):
        make.cpu("several nodes", start, 8, 7.8, nodes=2)
        make.cpu("several nodes, one idle", start, 8, 7.6, nodes=2, idle=1, expected={_LOW})
        make.cpu("three nodes", start, 8, 7.9, nodes=3)
    for task in range(4):
        make.cpu("tasks of an array", -70 * MINUTE, 2, 1.9, array=(70_000, task))
        make.cpu("idle tasks of an array", -65 * MINUTE, 4, 0.1, array=(71_000, task), expected={SERIAL})


def _blind(make: Builder) -> None:
    """What cannot be seen is not judged, and what was seen after all is."""
    outage, today = (-110 * MINUTE, -50 * MINUTE), (-150 * MINUTE, FOREVER)
    for down, seen in ((outage, True), (today, False)):
        node = make.node(exporter_down=[down])
        make.cpu("busy, exporter down for a while" if seen else "busy, exporter down", -200 * MINUTE, 4, 3.8, on=[node])
        make.cpu("idle, exporter down for a while" if seen else "idle, exporter down", -200 * MINUTE, 4, 0.02,
                 on=[node], expected={SERIAL} if seen else set())  # fmt: skip
    shared = make.node(exporter_down=[(-100 * MINUTE, FOREVER)], scrape_job="compute", host_job="compute")
    make.cpu("job exporter down, node_exporter up in the same scrape job", -90 * MINUTE, 4, 3.9, on=[shared])
    make.cpu("job exporter down since before its start", -80 * MINUTE, 4, 0.0, on=[shared])
    for name, settings in (
        ("RAPL only", {"meter": "rapl"}), ("no power meter", {"meter": "none"}),
        ("two replicas of Prometheus", {"replicas": ("A", "B")}), ("named with its domain", {"domain": ".hpc.example"}),
        ("BMC gone for 20 minutes", {"meter_gone": [(-90 * MINUTE, -70 * MINUTE)]}),
        ("BMC that says 0 at times", {"meter_zero": [(-120 * MINUTE, -60 * MINUTE)]}),
    ):  # fmt: skip
        node = make.node(**settings)
        make.cpu(f"busy, {name}", -210 * MINUTE, 4, 3.9, on=[node])
        make.cpu(f"idle, {name}", -160 * MINUTE, 4, 0.02, on=[node], expected={SERIAL})


def _with_a_history(make: Builder) -> None:
    now = FOREVER
    for first, second, expected in ((0.02, 3.9, set()), (3.9, 0.02, {SERIAL})):
        old, between = -220 * MINUTE, -120 * MINUTE
        node = make.node()
        job_id = make.cpu("requeued, first run", old, 4, first, end=between, on=[node], state=1024)
        make.cpu("requeued, second run", between + MINUTE, 4, second, on=[node], job_id=job_id, expected=expected)
    for idle in (False, True):
        pause = (-100 * MINUTE, -40 * MINUTE)
        busy = 0.02 if idle else 3.9
        steps = Steps([(-200 * MINUTE, pause[0], busy), (pause[1], now, busy)])
        make.cpu("idle, suspended once" if idle else "busy, suspended once", -200 * MINUTE, 4, steps,
                 suspended=[pause], expected={SERIAL} if idle else set())  # fmt: skip
    steps = Steps([(-200 * MINUTE, -90 * MINUTE, 3.9)])
    make.cpu("suspended now", -200 * MINUTE, 4, steps, suspended=[(-90 * MINUTE, now)], state=2)
    make.cpu("before there were samples", -50 * HOUR, 4, 3.9, on=[make.node()])
    make.cpu("resized, first part", -190 * MINUTE, 8, 7.8, on=(two := [make.node(), make.node()]), end=-100 * MINUTE,
             job_id=99_001, state=8192)  # fmt: skip
    make.cpu("resized, second part", -100 * MINUTE, 8, 7.8, on=two[:1], job_id=99_001, submit=-100 * MINUTE,
             row_start=-190 * MINUTE)  # fmt: skip


def add_ended_jobs(make: Builder) -> None:
    """Add jobs that come and go, so that every window has some that begin, end or do both."""
    for _ in range(8):
        node = make.node()
        for _ in range(2):
            at = QUIET_UNTIL + make.random.uniform(0, 20 * MINUTE)
            while True:
                length = make.random.choice((3, 7, 15, 25, 40, 70)) * MINUTE * make.random.uniform(0.8, 1.2)
                if at + length > -2 * MINUTE:
                    break
                busy = 4 * make.random.choice((0.02, 0.3, 0.6, 0.95, 1.0))
                state = make.random.choice((3, 3, 3, 4, 5, 6, 7, 11))
                make.cpu("ended", at, 4, busy, end=at + length, on=[node], state=state)
                at += length + make.random.uniform(1, 90)
    for length in (5.0, 45.0, 100.0):
        node = make.node()
        at = QUIET_UNTIL + make.random.uniform(0, 20 * MINUTE)
        for task in range(40 if length < 100 else 80):
            make.cpu(f"tasks of {length:g} s", at, 4, 3.9, end=at + length, on=[node], state=3,
                     array=(72_000 + int(length), task))  # fmt: skip
            at += length + make.random.uniform(2, 60)
