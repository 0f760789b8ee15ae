"""The pages of the lab's exporters as Prometheus would have stored them: the same families, at times of our own."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from unittest import mock

from tests.lab.exporters.text import read
from tests.lab.feed import RunningJob
from tests.lab.remote_write import STALE, Written
from tests.lab.simulators import Page, Simulators

_Series = tuple[tuple[str, str], ...]
# The users of the job table.
UIDS = {"ann": 1000, "ben": 1001, "cora": 1002}


def record(
    cluster: str, times: Iterable[float], jobs: Callable[[float], list[RunningJob]],
    prepare: Callable[[Simulators, float], None], nodes: Sequence[str], is_due: Callable[[str, float], bool],
    others: Mapping[str, Sequence[str]] | None = None,
) -> list[Written]:  # fmt: skip
    """
    Scrape the exporters of these nodes at these epoch times, each when Prometheus's job *is_due*.

    *jobs* gives the jobs that run at a time, *prepare* says what the exporters do and what is wrong with them,
    *others* on which nodes those of other sites are.
    """
    now = mock.Mock(return_value=0.0)
    recording, feed = _Recording(cluster), SimpleNamespace(jobs=[])
    names = {uid: name for name, uid in UIDS.items()}
    users = SimpleNamespace(
        getpwnam=lambda name: SimpleNamespace(pw_uid=UIDS[name]),
        getpwuid=lambda uid: SimpleNamespace(pw_name=names[uid]),
    )
    # The simulators ask for the time and for the machine's users wherever they need them.
    with mock.patch("time.time", now), mock.patch("tests.lab.lustre.pwd", users):
        simulators = Simulators(feed, nodes, others)  # type: ignore[arg-type]
        for at in times:
            now.return_value = at
            feed.jobs = jobs(at)
            prepare(simulators, at)
            for job, targets in simulators.targets.items():
                for target in targets if is_due(job, at) else ():
                    recording.scrape(job, target.instance, simulators.page(target.path), at)
    return recording.written()


class _Recording:
    """What was scraped so far."""

    def __init__(self, cluster: str) -> None:
        self._cluster = cluster
        self._series: dict[_Series, list[tuple[float, float]]] = {}
        self._last: dict[tuple[str, str], set[_Series]] = {}

    def scrape(self, job: str, instance: str, page: Page, at: float) -> None:
        """Take a target's page; a series that is not on it any more has ended."""
        target = {"job": job, "instance": instance, "cluster": self._cluster}
        there = {_key("up", target): float(page is not None)}
        for name, labels, value in _samples(page):
            there[_key(name, {**labels, **target})] = value
        for key in self._last.get((job, instance), set()) - there.keys():
            self._series[key].append((at, STALE))
        for key, value in there.items():
            self._series.setdefault(key, []).append((at, value))
        self._last[job, instance] = set(there)

    def written(self) -> list[Written]:
        return [(dict(key), found) for key, found in self._series.items()]


def _key(name: str, labels: Mapping[str, str]) -> _Series:
    return (("__name__", name), *sorted((label, value) for label, value in labels.items() if value))


def _samples(page: Page) -> Iterator[tuple[str, dict[str, str], float]]:
    if isinstance(page, str):
        yield from read(page)
        return
    for family in page or ():
        for sample in family.samples:
            yield sample.name, sample.labels, float(sample.value)
