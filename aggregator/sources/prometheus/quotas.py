"""Fetch what one file system's quotas count from the series of lfs_quota or gpfs_exporter."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import polars as pl

from aggregator.model.series import AvailableGraph, Lines, Span, Subject
from aggregator.model.storage import QUOTA_COUNTS, QuotaCounts
from aggregator.sources.base import FetchError
from aggregator.sources.prometheus.client import PrometheusClient, Sample
from aggregator.sources.prometheus.exporters import gpfs_exporter, lfs_quota_exporter
from aggregator.sources.prometheus.expression import Expression, Graph
from aggregator.sources.prometheus.instant import ask_all, values_by
from aggregator.sources.prometheus.memory import LastGood
from aggregator.sources.prometheus.nodes import NodeNames, one_of
from aggregator.sources.prometheus.promql import Matcher
from aggregator.sources.prometheus.render import promql
from aggregator.sources.prometheus.series import PrometheusSeries
from aggregator.sources.prometheus.settings import ExporterSettings

Owner = Literal["group", "user", "fileset"]
# The graph of an exporter → the field that it fills.
_FIELDS: Final[Mapping[str, str]] = {
    "used_bytes": "used_bytes", "used_inodes": "used_inodes", "quota_bytes": "soft_bytes",
    "quota_inodes": "soft_inodes", "limit_bytes": "hard_bytes", "limit_inodes": "hard_inodes",
    "in_doubt_bytes": "in_doubt_bytes", "in_doubt_inodes": "in_doubt_inodes",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaSeries:
    """Which series are the quotas of a file system: those of an exporter that carry these labels, by what owns them.

    labels are the exporter's own names; of several values (filesets) any will do.
    """

    exporter: Literal["lfs_quota_exporter", "gpfs_exporter"]
    owner: Owner
    labels: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def source(self) -> str:
        """Name the source of quotas as the configuration does."""
        return "lfs_quota" if self.exporter == "lfs_quota_exporter" else "gpfs"

    @property
    def kind(self) -> str:
        """Name the kind of subject that graphs are of."""
        return f"{'lfs' if self.exporter == 'lfs_quota_exporter' else 'gpfs'}_{self.owner}"

    @property
    def subject(self) -> str:
        """Name what the API calls an owner: a fileset stands where groups do."""
        return "user" if self.owner == "user" else "group"

    @property
    def graphs(self) -> Sequence[Graph]:
        """Give the graphs that there are of an owner."""
        every = lfs_quota_exporter.GRAPHS if self.exporter == "lfs_quota_exporter" else gpfs_exporter.GRAPHS
        return [graph for graph in every if self.kind in graph.by]

    def matchers(self, settings: ExporterSettings) -> Iterator[Matcher]:
        """Give the matchers of these labels as the site names them."""
        return (one_of(settings.label(label), values) for label, values in self.labels)


class PrometheusQuotas:
    """Read the quotas of one file system."""

    name = "quota"

    def __init__(
        self,
        client: PrometheusClient,
        matchers: Mapping[str, str],
        settings: ExporterSettings,
        nodes: NodeNames,
        series: QuotaSeries,
        *,
        patience: float = 0.0,
    ) -> None:
        self.rows = 0
        self.features: Mapping[str, bool] = {}
        self._kept: LastGood[Sequence[Sample]] = LastGood(patience)
        self.memory = (self._kept,)
        self._client = client
        self._label = settings.label(series.owner)
        self._graphs = {graph.name: graph for graph in series.graphs}
        self._series = series
        asked: dict[str, Expression] = dict(self._graphs)
        if series.exporter == "gpfs_exporter":
            asked[gpfs_exporter.FAILING.name] = gpfs_exporter.FAILING
        picked = tuple(series.matchers(settings))
        self._queries = {
            name: promql(item, matchers, settings, nodes.label, picked=picked) for name, item in asked.items()
        }

    async def fetch(self, at: float) -> QuotaCounts:
        """Read all owners at `at`; limits that cannot be read are named, and are as they last were, or missing.

        Raises FetchError when nothing is known of what is used: no series are no data, never nothing used.
        """
        answers = await ask_all(self._client, self._queries, at)
        vectors, failed = answers.vectors, answers.failed
        if "used_bytes" in failed:
            raise FetchError(failed["used_bytes"])
        if not vectors["used_bytes"]:
            raise FetchError(self._nothing(vectors))
        self.rows = sum(map(len, vectors.values()))
        rejected: Counter[str] = Counter()
        kept = self._kept.fill(at, self._queries, vectors).values
        return QuotaCounts(
            time=at, counts=self._counts(kept, rejected), source=self._series.source,
            of_users=self._series.owner == "user", failed=failed, rejected=rejected,
        )  # fmt: skip

    def _nothing(self, vectors: Mapping[str, Sequence[Sample]]) -> str:
        """Say why there are no series, as far as it can be told."""
        if vectors.get(gpfs_exporter.FAILING.name):
            return "gpfs_exporter: mmrepquota failed or timed out (gpfs_exporter_collect_error, _timeout)"
        return f"no series for {self._queries['used_bytes']}: check quota and that {self._series.exporter} is scraped"

    def _counts(self, vectors: Mapping[str, Sequence[Sample]], rejected: Counter[str]) -> pl.DataFrame:
        found: defaultdict[str, dict[str, str | int]] = defaultdict(dict)
        for name, graph in self._graphs.items():
            for owner, value in values_by(self._label, graph, name, vectors.get(name, ()), rejected):
                if owner:
                    found[owner][_FIELDS[name]] = round(value)
        rows = [{**values, "owner": owner} for owner, values in sorted(found.items())]
        return pl.DataFrame(rows, schema=QUOTA_COUNTS)


class QuotaHistory:
    """The graphs of one file system's quotas, of its groups (or filesets) or of its users."""

    def __init__(self, reader: PrometheusSeries, series: QuotaSeries) -> None:
        self._reader = reader
        self._series = series

    def available(self, subject: str) -> Mapping[str, AvailableGraph]:
        """Give the graphs that may be asked of a group or user."""
        return self._reader.available(self._series.kind) if subject == self._series.subject else {}

    def missing(self, subject: str) -> Mapping[str, str]:
        """Give no others: there is one source of quotas."""
        return {}

    async def read(self, kind: str, name: str, subject: Subject, span: Span) -> Lines:
        """Read one graph of a group or user of this file system.

        Raises FetchError.
        """
        owners = tuple((self._series.owner, owner) for _, owner in subject.labels)
        wanted = replace(subject, labels=owners, any_of=self._series.labels)
        return await self._reader.read(self._series.kind, name, wanted, span)
