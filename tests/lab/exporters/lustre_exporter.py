"""The servers of one Lustre file system, and the pages that lustre_exporter gives of them.

Every counter grows evenly, so that its rate is known: on a target it is 0 when the target comes up on a server or the
job's entry is made, and stays where it is when the job has ended.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

OPERATIONS = ("open", "close", "getattr", "mkdir")


@dataclass(frozen=True)
class Io:
    """What one job id does per second, on all targets together."""

    read: float = 0.0
    write: float = 0.0
    operations: float = 0.0
    """Of each of OPERATIONS but mkdir, which does not happen."""


@dataclass(frozen=True)
class Entry:
    """One job id in the servers' job_stats, at work from *start* to *end*."""

    io: Io
    start: float
    end: float = float("inf")


@dataclass(frozen=True)
class _Target:
    server: str
    since: float


class LustreServers:
    """One file system: two MDTs and four OSTs on four servers, which can take over each other's targets."""

    def __init__(self, name: str, servers: tuple[str, str, str, str], *, gsi: bool) -> None:
        """*servers* are two MDSs and two OSSs; GSI's exporter does not show what is 0, and names space otherwise."""
        self.name = name
        self.servers = servers
        self._gsi = gsi
        born = time.time()
        self._targets = {
            f"{name}-MDT0000": _Target(servers[0], born),
            f"{name}-MDT0001": _Target(servers[1], born),
            **{f"{name}-OST{index:04x}": _Target(servers[2 + index % 2], born) for index in (0, 1, 10, 11)},
        }
        self._entries: dict[str, Entry] = {}

    def set_entries(self, running: Mapping[str, Entry]) -> None:
        """Take over what runs; what runs no longer keeps its entry, as it is until it has been idle for a while."""
        now = time.time()
        ended = {
            jobid: replace(entry, end=min(entry.end, now))
            for jobid, entry in self._entries.items()
            if jobid not in running
        }
        kept = {
            jobid: replace(entry, start=known.start) if known and known.end > now else entry
            for jobid, entry, known in ((each, running[each], self._entries.get(each)) for each in running)
        }
        self._entries = ended | kept

    def evict(self, jobid: str) -> None:
        """Forget an entry, whose job then starts anew."""
        self._entries = {**self._entries, jobid: replace(self._entries[jobid], start=time.time())}

    def fail_over(self, target: str, server: str) -> None:
        """Bring a target up on another server, with all its counters at 0."""
        self._targets = {**self._targets, target: _Target(server, time.time())}

    def page(self, server: str) -> str:
        """Write the page of one server's exporter."""
        lines: dict[str, list[str]] = {}
        for target, where in self._targets.items():
            if where.server == server:
                for metric, labels, value in self._target(target, where.since):
                    shown = {**labels, "target": target}
                    lines.setdefault(metric, []).append(f"{metric}{{{_labels(shown)}}} {value!r}")
        return "".join(f"# TYPE {name} {_type(name)}\n" + "\n".join(found) + "\n" for name, found in lines.items())

    def _target(self, target: str, since: float) -> Iterator[tuple[str, dict[str, str], float]]:
        now = time.time()
        component = "ost" if "-OST" in target else "mdt"
        of_target = {"component": component}
        unit = "kibibytes" if self._gsi else "kilobytes"
        yield f"lustre_available_{unit}", of_target, 3.812204544e10
        yield "lustre_inodes_maximum", of_target, 1e9
        if component == "ost":
            yield "lustre_job_cleanup_interval_seconds", of_target, 600.0
            yield "lustre_read_bytes_total", of_target, 5e7 * (now - since)
            yield "lustre_write_bytes_total", of_target, 3e7 * (now - since)
        else:
            for operation in ("open", "getattr"):
                yield "lustre_stats_total", {**of_target, "operation": operation}, 400.0 * (now - since)
        for jobid, entry in self._entries.items():
            seconds = max(0.0, min(now, entry.end) - max(entry.start, since))
            for metric, labels, value in _job(component, entry.io):
                if value * seconds or not self._gsi:
                    yield metric, {**of_target, "jobid": jobid, **labels}, value * seconds


def _job(component: str, io: Io) -> Iterable[tuple[str, dict[str, str], float]]:
    """Give what one job id does per second on one target."""
    if component == "ost":
        yield "lustre_job_read_bytes_total", {}, io.read / 4
        yield "lustre_job_write_bytes_total", {}, io.write / 4
        # Operations on OSTs are no metadata.
        yield "lustre_job_stats_total", {"operation": "punch"}, 17.0
        return
    for operation in OPERATIONS:
        yield "lustre_job_stats_total", {"operation": operation}, 0.0 if operation == "mkdir" else io.operations / 2


def _type(metric: str) -> str:
    return "counter" if metric.endswith("_total") else "gauge"


def _labels(labels: Mapping[str, str]) -> str:
    """Write labels in the order of their names, as client_golang does."""
    return ",".join(f'{name}="{_escape(value)}"' for name, value in sorted(labels.items()))


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
