"""Fetch what Lustre's servers show of one cluster: rates by who caused them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from aggregator import executors
from aggregator.model.lustre import KINDS, SENDERS, LustreUse
from aggregator.model.lustre_jobid import JobIdParser
from aggregator.model.question import Question
from aggregator.sources.base import FetchError, NoSamples
from aggregator.sources.prometheus.client import PrometheusClient, Sample
from aggregator.sources.prometheus.exporters.lustre_exporter import COVERAGE, MOST_SENDERS, RATES, WHOLES
from aggregator.sources.prometheus.expression import Expression
from aggregator.sources.prometheus.instant import Answers, ask_all, plausible_value
from aggregator.sources.prometheus.memory import LastGood
from aggregator.sources.prometheus.render import promql
from aggregator.sources.prometheus.settings import ExporterSettings

# So many samples are read at once: a thread is not kept for long.
_PIECE_SAMPLES: Final = 5_000
_KEYS: Final = tuple(name for name in SENDERS if name != "rate")


class PrometheusLustre:
    """Read the series of lustre_exporter, as it is or through lustre_exporter_slurm; names are the clients' jobid_name.

    A site may have some servers behind the proxy and others not: the series are the same, but for the proxy's labels.
    """

    name = "lustre"
    features: Mapping[str, bool] = {}

    def __init__(
        self,
        client: PrometheusClient,
        matchers: Mapping[str, str],
        exporter: ExporterSettings,
        names: Sequence[str] = (),
        most: int = MOST_SENDERS,
        *,
        patience: float = 0.0,
    ) -> None:
        self.rows = 0
        self._client = client
        self._exporter = exporter
        self._parser = JobIdParser(names)
        self._kept: LastGood[pl.DataFrame] = LastGood(patience)
        self._kept_coverage: LastGood[Mapping[str, float]] = LastGood(patience)
        self.memory = (self._kept, self._kept_coverage)
        self._most = most
        inputs = (*RATES.values(), COVERAGE)
        self._queries = {item.name: promql(item, matchers, exporter, "") for item in inputs}
        self._wholes = {name: promql(item, matchers, exporter, "") for name, item in WHOLES.items()}
        self._labels = {name: exporter.label(name) for name in ("jobid", "user", "account")}

    async def fetch(self, at: float) -> LustreUse:
        """Evaluate every input at `at`; one that fails is named, and is as it last was, or missing.

        Raises FetchError when all of them fail, NoSamples when no server shows anything.
        """
        answers = await ask_all(self._client, self._queries, at)
        if not answers.vectors:
            raise FetchError(next(iter(answers.failed.values())))
        if not answers.failed and not any(answers.vectors.values()):
            text = "no sample of any Lustre server: check prometheus.matchers, its tenant, and lustre_exporter"
            raise NoSamples(text, answers.vectors.keys())
        wholes = await ask_all(self._client, self._capped(answers), at)
        self.rows = sum(map(len, answers.vectors.values()))
        failed, rejected = {**answers.failed, **wholes.failed}, Counter[str]()
        # A kind whose whole could not be read would add up to less than was measured: it is missing.
        rates: dict[str, pl.DataFrame] = {
            kind: await self._rates(RATES[kind], answers.vectors[kind], wholes.vectors.get(kind, ()), rejected)
            for kind in KINDS
            if kind not in failed
        }
        kept = self._kept.fill(at, KINDS, rates)
        return LustreUse(
            time=at,
            interval=self._exporter.interval,
            window=self._exporter.rate_window,
            rates=kept.values,
            coverage=self._coverage(at, answers, rejected),
            failed=failed,
            rejected=rejected,
            questions={
                f"lustre_{name}": (Question("prometheus", self._queries[name], kept.times.get(name, at)),)
                for name in (*kept.values, *([COVERAGE.name] if COVERAGE.name in answers.vectors else []))
            },
        )

    def _capped(self, answers: Answers[Sequence[Sample]]) -> Mapping[str, str]:
        """Give the queries for the whole of those inputs that have more senders than were asked for."""
        return {name: query for name, query in self._wholes.items() if len(answers.vectors.get(name, ())) >= self._most}

    def _coverage(self, at: float, answers: Answers[Sequence[Sample]], rejected: Counter[str]) -> Mapping[str, float]:
        name, vectors = COVERAGE.name, answers.vectors
        seen = {name: _by_filesystem(COVERAGE, vectors[name], rejected)} if name in vectors else {}
        return self._kept_coverage.fill(at, (name,), seen).values.get(name, {})

    async def _rates(
        self, item: Expression, vector: Sequence[Sample], whole: Sequence[Sample], rejected: Counter[str]
    ) -> pl.DataFrame:
        """Add up the plausible rates by sender (SENDERS), tens of thousands of them in pieces off the event loop."""
        pieces = [
            await executors.run(executors.REFRESH, self._read, item, vector[begin : begin + _PIECE_SAMPLES], rejected)
            for begin in range(0, len(vector), _PIECE_SAMPLES)
        ]
        return await executors.run(executors.REFRESH, _add_up, pieces, _by_filesystem(item, whole, rejected))

    def _read(self, item: Expression, vector: Sequence[Sample], rejected: Counter[str]) -> pl.DataFrame:
        values = ((sample, plausible_value(item, item.name, sample, rejected)) for sample in vector)
        rows = [(*self._sender(sample.metric), value) for sample, value in values if value is not None]
        return pl.DataFrame(rows, schema=SENDERS, orient="row")

    def _sender(self, metric: Mapping[str, str]) -> tuple[str, int | None, int | None, str, str]:
        """Tell who a series is of, in the columns of SENDERS."""
        origin = self._parser.parse(metric.get(self._labels["jobid"], ""))
        is_known = origin.job_id is not None or origin.uid is not None
        user, account = (metric.get(self._labels[label], "") if is_known else "" for label in ("user", "account"))
        return metric.get("filesystem", ""), origin.job_id, origin.uid, user, account


def _add_up(pieces: Sequence[pl.DataFrame], whole: Mapping[str, float]) -> pl.DataFrame:
    """Add up the rates of equal senders; what is beyond the cap has a sender of whom nothing is known."""
    shown = pl.concat([pl.DataFrame(schema=SENDERS), *pieces])
    of_all = pl.DataFrame(list(whole.items()), schema={"filesystem": pl.String, "whole": pl.Float64}, orient="row")
    sums = shown.group_by("filesystem").agg(pl.col("rate").sum())
    beyond = of_all.join(sums, on="filesystem", how="left").select(
        "filesystem", user=pl.lit(""), account=pl.lit(""),
        rate=(pl.col("whole") - pl.col("rate").fill_null(0.0)).clip(lower_bound=0.0),
    )  # fmt: skip
    every = pl.concat([shown, beyond], how="diagonal")
    return every.group_by(_KEYS).agg(pl.col("rate").sum()).sort(_KEYS)


def _by_filesystem(item: Expression, vector: Sequence[Sample], rejected: Counter[str]) -> dict[str, float]:
    values = (
        (sample.metric.get("filesystem", ""), plausible_value(item, item.name, sample, rejected)) for sample in vector
    )
    return {filesystem: value for filesystem, value in values if value is not None}
