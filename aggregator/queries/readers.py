"""All that is read on demand: who reads it of each cluster, and the queries that share and cache what is read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from aggregator.queries.history import HistoryQueries, HistoryReader
from aggregator.queries.jobs import JobQueries, LedgerReader, RunReader, SummaryReader
from aggregator.queries.run_details import DetailQueries, DetailReader
from aggregator.queries.scripts import DeliveredScripts, ScriptQueries, ScriptReader
from aggregator.queries.series import SeriesQueries, SeriesReader
from aggregator.queries.usage import UsageQueries
from aggregator.sources.base import EndedRuns, UsageReader

T = TypeVar("T")


class JobReader(RunReader, ScriptReader, EndedRuns, Protocol):
    """slurmacct, asked for single job ids, their scripts, and for what has ended."""


class ReplicaNotes(Protocol):
    """What is known of a cluster's replica."""

    def notes(self) -> Sequence[str]:
        """Say what an answer must tell of where it was read."""
        ...


@dataclass(frozen=True, slots=True)
class Readers:
    """Who reads on demand of one cluster; None where nobody can. usage is None without roll-ups."""

    jobs: JobReader
    history: HistoryReader | None = None
    details: DetailReader | None = None
    usage: UsageReader | None = None
    series: SeriesReader | None = None
    replica: ReplicaNotes | None = None


class Queries:
    """Ask the readers of every cluster, which can be replaced while the queries go on."""

    def __init__(self, summaries: SummaryReader, ledger: LedgerReader, scripts: DeliveredScripts) -> None:
        self._jobs: dict[str, JobReader] = {}
        self._histories: dict[str, HistoryReader] = {}
        self._details: dict[str, DetailReader] = {}
        self._usages: dict[str, UsageReader] = {}
        self._series: dict[str, SeriesReader] = {}
        self._replicas: dict[str, ReplicaNotes] = {}
        self.jobs = JobQueries(self._jobs, summaries, ledger)
        self.history = HistoryQueries(self._histories)
        self.details = DetailQueries(self.jobs, self._details)
        self.scripts = ScriptQueries(self.jobs, self._jobs, scripts)
        self.usage = UsageQueries(self._usages, self._jobs)
        self.series = SeriesQueries(self._series)
        self.replicas: Mapping[str, ReplicaNotes] = self._replicas

    def connect(self, clusters: Mapping[str, Readers], graphs: Iterable[tuple[str, SeriesReader | None]] = ()) -> None:
        """Ask these from now on; graphs are of what is no cluster, by the keys of series.py."""
        each = clusters.items()
        _replace(self._jobs, ((name, readers.jobs) for name, readers in each))
        _replace(self._histories, ((name, readers.history) for name, readers in each))
        _replace(self._details, ((name, readers.details) for name, readers in each))
        _replace(self._usages, ((name, readers.usage) for name, readers in each))
        _replace(self._replicas, ((name, readers.replica) for name, readers in each))
        _replace(self._series, (*((name, readers.series) for name, readers in each), *graphs))


def _replace(known: dict[str, T], found: Iterable[tuple[str, T | None]]) -> None:
    """Put what there is now in place of what there was."""
    known.clear()
    known.update({name: each for name, each in found if each is not None})
