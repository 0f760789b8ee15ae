"""What Intel's pcm-sensor-server shows of a node: untyped lines in groups of hardware, not of families."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from tests.lab.exporters.activity import Activity
from tests.lab.slurm_config import CPUS_PER_NODE

SOCKETS = 2
THREADS = 2
CORES = CPUS_PER_NODE // SOCKETS // THREADS
LINKS = 3
# Events for each second of a busy CPU; an idle one has a thousandth of them.
_EVENTS = {
    "Instructions_Retired_Any": 3_000_000_000,
    "Clock_Unhalted_Thread": 2_400_000_000,
    "Clock_Unhalted_Ref": 2_000_000_000,
    "L3_Cache_Misses": 2_000_000,
    "L3_Cache_Hits": 6_000_000,
    "L2_Cache_Misses": 10_000_000,
    "L2_Cache_Hits": 40_000_000,
}
_READ_BYTES, _WRITTEN_BYTES, _LINK_BYTES = 512_000_000, 256_000_000, 1_000_000


def pcm_sensor_server(jobs: Sequence[Activity], uptime: float) -> str:
    """Write the whole page, as /metrics does."""
    busy = {cpu: job.behaviour.cpu * job.elapsed for job in jobs for cpu in job.share.cpus}
    seconds = {cpu: busy.get(cpu, 0.0) + uptime / 1000 for cpu in range(CPUS_PER_NODE)}
    lines = ["Measurement_Interval_in_us 86400000000", f"Number_of_sockets {SOCKETS}"]
    for socket in range(SOCKETS):
        lines += _socket(str(socket), seconds)
    lines += ["# UPI/QPI Counters", *_links(seconds)]
    lines += ["# Core Counters Aggregate System", *_events('aggregate="system",source="core"', seconds.values())]
    lines += ["# Uncore Counters Aggregate System", *_uncore('aggregate="system",source="uncore"', seconds.values())]
    return "\n".join(lines) + "\n"


def os_id(socket: int, core: int, thread: int) -> int:
    """Return the number that the operating system gives a thread: sockets take turns, second threads come last."""
    return thread * SOCKETS * CORES + core * SOCKETS + socket


def _socket(socket: str, seconds: Mapping[int, float]) -> Iterator[str]:
    yield f"# Core Counters Socket {socket}"
    for core in range(CORES):
        for thread in range(THREADS):
            cpu = os_id(int(socket), core, thread)
            place = f'socket="{socket}",core="{core}",thread="{thread}"'
            yield f"OS_ID{{{place}}} {cpu}"
            yield from _events(f'{place},source="core"', [seconds[cpu]])
    of_socket = _of_socket(int(socket), seconds)
    yield f"# Uncore Counters Socket {socket}"
    yield from _uncore(f'socket="{socket}",source="uncore"', of_socket)
    yield f"# Core Counters Aggregate Socket {socket}"
    yield from _events(f'socket="{socket}",aggregate="socket",source="core"', of_socket)


def _of_socket(socket: int, seconds: Mapping[int, float]) -> list[float]:
    return [seconds[os_id(socket, core, thread)] for core in range(CORES) for thread in range(THREADS)]


def _events(labels: str, seconds: Iterable[float]) -> Iterator[str]:
    busy = sum(seconds)
    return (f"{name}{{{labels}}} {int(busy * each)}" for name, each in _EVENTS.items())


def _uncore(labels: str, seconds: Iterable[float]) -> Iterator[str]:
    busy = sum(seconds)
    yield f"DRAM_Writes{{{labels}}} {int(busy * _WRITTEN_BYTES)}"
    yield f"DRAM_Reads{{{labels}}} {int(busy * _READ_BYTES)}"
    yield f"Package_Joules_Consumed{{{labels}}} {busy * 20:.6g}"


def _links(seconds: Mapping[int, float]) -> Iterator[str]:
    for socket in range(SOCKETS):
        received = int(sum(_of_socket(socket, seconds)) * _LINK_BYTES)
        for link in range(LINKS):
            labels = f'aggregate="system",source="uncore",socket="{socket}"'
            yield f"Incoming_Data_Traffic_On_Link_{link}{{{labels}}} {received}"
