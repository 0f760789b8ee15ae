"""Fetch the accounts' fair shares that slurm-exporter shows: three queries, whatever the number of accounts."""

import asyncio
import math
from collections.abc import Mapping, Sequence

import polars as pl

from aggregator.model.association import LEVELS, FairShareLevels
from aggregator.sources.prometheus.client import PrometheusClient, Sample
from aggregator.sources.prometheus.exporters import slurm_exporter
from aggregator.sources.prometheus.render import promql
from aggregator.sources.prometheus.settings import ExporterSettings


class PrometheusLevels:
    """Read level_fs by account; infinite where an account has used nothing."""

    name = "slurm_exporter"

    def __init__(self, client: PrometheusClient, matchers: Mapping[str, str], exporter: ExporterSettings) -> None:
        self.rows = 0
        self.features: Mapping[str, bool] = {}
        self._client = client
        self._label = exporter.label("account")
        self._collector = exporter.label("collector")
        inputs = (slurm_exporter.LEVELS, *slurm_exporter.ERRORS)
        self._queries = [promql(item, matchers, exporter, "") for item in inputs]

    async def fetch(self, at: float) -> FairShareLevels:
        """Evaluate at `at`; nothing is believed while the exporter says that its collector failed.

        Raises FetchError.
        """
        levels, *errors = await asyncio.gather(*(self._client.query(query, at) for query in self._queries))
        failed = any(self._fails(sample) for vector in errors for sample in vector)
        found = {} if failed else self._read(levels)
        self.rows = len(found)
        self.features = {"levelfs": bool(found)}
        return FairShareLevels(pl.DataFrame(list(found.items()), schema=LEVELS, orient="row"))

    def _read(self, vector: Sequence[Sample]) -> dict[str, float]:
        found = {}
        for sample in vector:
            level, account = float(sample.value[1]), sample.metric.get(self._label, "")
            # NaN and negative values are none; infinity is one.
            if account and not math.isnan(level) and level >= 0:
                found[account] = level
        return found

    def _fails(self, sample: Sample) -> bool:
        named = sample.metric.get(self._collector, "") in slurm_exporter.FAIRSHARE_COLLECTORS
        return named and float(sample.value[1]) > 0
