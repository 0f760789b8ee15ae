"""Fetch what Lustre's servers show of one cluster: rates by who caused them."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from aggregator import executors
from aggregator.model.lustre import LustreUse, Rates, Sender
from aggregator.model.lustre_jobid import JobIdParser
from aggregator.sources.base import FetchError, NoSamples
from aggregator.sources.prometheus.client import PrometheusClient, Sample
from aggregator.sources.prometheus.exporters.lustre_exporter import COVERAGE, MOST_SENDERS, RATES, WHOLES
from aggregator.sources.prometheus.expression import Expression
from aggregator.sources.prometheus.instant import Answers, ask_all, plausible_value
from aggregator.sources.prometheus.memory import LastGood
from aggregator.sources.prometheus.render import promql
from aggregator.sources.prometheus.settings import ExporterSettings


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
        self._kept: LastGood[Rates] = LastGood(patience)
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
        # Tens of thousands of samples: off the event loop.
        return await executors.run(executors.REFRESH, self._read, at, answers, wholes)

    def _capped(self, answers: Answers) -> Mapping[str, str]:
        """Give the queries for the whole of those inputs that have more senders than were asked for."""
        return {name: query for name, query in self._wholes.items() if len(answers.vectors.get(name, ())) >= self._most}

    def _read(self, at: float, answers: Answers, wholes: Answers) -> LustreUse:
        rejected: Counter[str] = Counter()
        vectors, failed = answers.vectors, {**answers.failed, **wholes.failed}
        # A kind whose whole could not be read would add up to less than was measured: it is missing.
        rates = {
            name: self._rates(item, vectors[name], wholes.vectors.get(name, ()), rejected)
            for name, item in RATES.items()
            if name not in failed
        }
        kept = self._kept.fill(at, self._wholes, rates)
        seen = (
            {}
            if COVERAGE.name in failed
            else {COVERAGE.name: _by_filesystem(COVERAGE, vectors[COVERAGE.name], rejected)}
        )
        coverage = self._kept_coverage.fill(at, (COVERAGE.name,), seen)
        return LustreUse(
            time=at,
            interval=self._exporter.interval,
            window=self._exporter.rate_window,
            read=kept.values.get("read"),
            write=kept.values.get("write"),
            metadata=kept.values.get("metadata"),
            coverage=coverage.values.get(COVERAGE.name, {}),
            failed=failed,
            rejected=rejected,
        )

    def _rates(
        self, item: Expression, vector: Sequence[Sample], total: Sequence[Sample], rejected: Counter[str]
    ) -> Rates:
        """Add up the plausible rates by sender; what is beyond the cap has a sender of whom nothing is known."""
        rates: defaultdict[Sender, float] = defaultdict(float)
        shown: defaultdict[str, float] = defaultdict(float)
        for sample in vector:
            value = plausible_value(item, item.name, sample, rejected)
            if value is not None:
                sender = self._sender(sample.metric)
                rates[sender] += value
                shown[sender.filesystem] += value
        for filesystem, value in _by_filesystem(item, total, rejected).items():
            rates[Sender(filesystem)] += max(0.0, value - shown[filesystem])
        return dict(rates)

    def _sender(self, metric: Mapping[str, str]) -> Sender:
        filesystem = metric.get("filesystem", "")
        origin = self._parser.parse(metric.get(self._labels["jobid"], ""))
        if origin.job_id is None and origin.uid is None:
            return Sender(filesystem)
        user, account = (metric.get(self._labels[label], "") for label in ("user", "account"))
        return Sender(filesystem, origin.job_id, origin.uid, user, account)


def _by_filesystem(item: Expression, vector: Sequence[Sample], rejected: Counter[str]) -> dict[str, float]:
    values = (
        (sample.metric.get("filesystem", ""), plausible_value(item, item.name, sample, rejected)) for sample in vector
    )
    return {filesystem: value for filesystem, value in values if value is not None}
