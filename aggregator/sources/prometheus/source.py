"""Fetch the use of one cluster's jobs from Prometheus: a constant number of queries at one evaluation time."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import polars as pl

from aggregator import executors
from aggregator.model.job_inputs import GPUS, OF_NODES, Use
from aggregator.model.question import ByInput, Question
from aggregator.sources.base import FetchError
from aggregator.sources.job_numbers import JobNumbers
from aggregator.sources.prometheus.asking import GPU_INPUTS, GPU_NODES
from aggregator.sources.prometheus.catalogue import PREFERRED, PROVIDERS, in_order
from aggregator.sources.prometheus.choosing import EXPORTER, ByExporter, choose, choose_gpus
from aggregator.sources.prometheus.client import PrometheusClient
from aggregator.sources.prometheus.exporters.slurm_job_exporter import TARGETS
from aggregator.sources.prometheus.instant import Answers, ask_columns
from aggregator.sources.prometheus.memory import Filled, LastGood
from aggregator.sources.prometheus.nodes import NodeNames
from aggregator.sources.prometheus.provider import Provider, Vectors
from aggregator.sources.prometheus.render import promql
from aggregator.sources.prometheus.settings import ExporterSettings
from aggregator.sources.prometheus.vector import side_by_side

_NO_ORDER: Final[Mapping[str, Sequence[str]]] = {}
_OF_JOB: Final = ("job_id", "node")
# The columns that are taken from one exporter together, with the kind of value whose order counts. A counter belongs
# to the time at which it was read, and to its slope.
_TOGETHER: Final = (
    ("cpus", ("cpus", "cpu_seconds", "sampled_at")),
    ("cpus", ("threads",)),
    ("memory", ("memory_bytes",)),
    ("memory", ("memory_peak_bytes",)),
)
# What a base has of a job on a node, by the inputs that it is read from.
_BASE: Final = {"sampled_at": "base_at", "cpu_seconds": "base_cpu_seconds", "memory_peak_bytes": "base_peak_bytes"}


class PrometheusUse:
    """Read the use of one cluster's jobs from the exporters in use that bring any of it.

    exporters are the settings of those in use. An input that fails keeps its last good value for `patience` seconds.
    first says which exporters are believed first, by the kind of value, and numbers which job a SLUID is.
    """

    name = "prometheus"

    def __init__(
        self,
        client: PrometheusClient,
        matchers: Mapping[str, str],
        exporters: Mapping[str, ExporterSettings],
        nodes: NodeNames,
        *,
        patience: float = 0.0,
        first: Mapping[str, Sequence[str]] = _NO_ORDER,
        numbers: JobNumbers | None = None,
    ) -> None:
        self.rows = 0
        self._client = client
        self._providers = {
            name: Provider(name, client, matchers, exporters[name], nodes, numbers or JobNumbers())
            for name in PROVIDERS
            if name in exporters
        }
        self._order = {kind: in_order(kind, self._providers, first.get(kind, ())) for kind in PREFERRED}
        self._kept: LastGood[Any] = LastGood(patience, self._belonging())
        self.memory = (self._kept,)
        self._values = (
            *(key for each in self._providers.values() for key in (*each.of_nodes.values(), each.healthy_key) if key),
            *(("gpus",) if self._order["gpus"] else ()),
        )
        jobs = exporters.get("slurm_job_exporter", ExporterSettings())
        self._targets = promql(TARGETS, matchers, jobs, nodes.label)

    def _belonging(self) -> Iterator[frozenset[str]]:
        """Give the values that mean nothing beside those of another time.

        They are counters, and when they were read; a GPU that is not there, and who vouches for that.
        """
        each = self._providers.values()
        if self._order["gpus"]:
            yield frozenset(("gpus", *(one.healthy_key for one in each if one.gpu_nodes and one.healthy_key)))
        yield from filter(None, (one.counters for one in each))

    @property
    def features(self) -> Mapping[str, bool]:
        """Say which inputs the last fetch read from recorded series."""
        return {name: used for each in self._providers.values() for name, used in each.features.items()}

    @property
    def interval(self) -> float:
        """Give the seconds between two scrapes, of the exporter of CPUs and memory that is scraped least often."""
        each = self._providers.values()
        return max([one.interval for one in each if one.of_nodes] or [one.interval for one in each])

    async def fetch(self, at: float) -> Use:
        """Evaluate every input at `at`; one that fails is missing and named, the others are there.

        Raises FetchError when all of them fail.
        """
        asked = (each.gpu_nodes.ask(at) for each in self._providers.values() if each.gpu_nodes)
        answers, _ = await asyncio.gather(self._ask_all(at), asyncio.gather(*asked))
        if not answers.vectors:
            raise FetchError(next(iter(answers.failed.values())))
        self.rows = sum(map(len, answers.vectors.values()))
        # Tens of thousands of samples: off the event loop.
        use = await executors.run(executors.REFRESH, self._read, at, answers)
        return replace(use, reachable=await self._has_targets(at)) if use.is_empty else use

    async def _has_targets(self, at: float) -> bool:
        """Ask whether there is any target of the cluster, where there is no sample of any node."""
        try:
            return bool(await self._client.query(self._targets, at))
        except FetchError:
            return False

    async def base_of(self, job_id: int, since: float) -> pl.DataFrame:
        """Read the first samples of a job after a time, which must be two scrape intervals ago.

        Gives a row for each node that has any, in the columns of BASES but for the run. Raises FetchError.
        """
        queries = {key: query for each in self._providers.values() for key, query in each.counters_of(job_id).items()}
        answers = await ask_columns(self._client, queries, since + 1.5 * self.interval)
        if answers.failed:
            raise FetchError(next(iter(answers.failed.values())))
        found, _ = self._chosen(self._values_of(answers.vectors, Counter()))
        bases = side_by_side({_BASE[name]: found[name] for name in _BASE if name in found}, _OF_JOB, [*_BASE.values()])
        own = bases.filter(job_id=job_id)
        return own.filter(pl.col("base_at") >= since).drop("job_id")

    async def _ask_all(self, at: float) -> Answers[pl.DataFrame]:
        """Ask for every input: for its recorded series where there are any, and then again where those will not do."""
        each = self._providers.values()
        queries = {key: query for one in each for key, query in one.queries(at).items()}
        answers = await ask_columns(self._client, queries, at)
        again = await executors.run(
            executors.REFRESH,
            lambda: {key: query for one in each for key, query in one.refused(answers.vectors, at).items()},
        )
        return answers.replaced(await ask_columns(self._client, again, at)) if again else answers

    def _read(self, at: float, answers: Answers[pl.DataFrame]) -> Use:
        rejected: Counter[str] = Counter()
        filled = self._kept.fill(at, self._values, self._found(answers.vectors, rejected))
        values, chosen = self._chosen(filled.values)
        gpus = filled.values.get("gpus")
        if gpus is not None and EXPORTER in gpus.columns:
            chosen |= dict.fromkeys(GPU_INPUTS, gpus.select(*_OF_JOB, EXPORTER).unique())
        return Use(
            time=at,
            interval=self.interval,
            cpu_window=max((self._providers[name].cpu_window for name in self._order["cpus"]), default=0.0),
            values={name: values[name] for name in OF_NODES if name in values},
            gpus=None if gpus is None else gpus.select(GPUS.names()),
            healthy_nodes=self._healthy(filled),
            gpu_nodes=self._vouching_for_gpus(at, answers.vectors, filled),
            oldest=filled.oldest,
            failed={**answers.failed, **self._unknown()},
            rejected=rejected,
            questions=self._questions(at, answers.vectors, filled),
            chosen=chosen,
        )

    def _found(self, vectors: Vectors, rejected: Counter[str]) -> dict[str, Any]:
        """Read what has been answered: values of jobs on nodes by key, the GPUs, and the healthy nodes by key."""
        found: dict[str, Any] = self._values_of(vectors, rejected)
        if (gpus := self._gpus(vectors, rejected)) is not None:
            found["gpus"] = gpus
        for each in self._providers.values():
            if each.healthy_key and (healthy := each.healthy(vectors)) is not None:
                found[each.healthy_key] = healthy
        return found

    def _values_of(self, vectors: Vectors, rejected: Counter[str]) -> dict[str, pl.DataFrame]:
        return dict(pair for each in self._providers.values() for pair in each.values(vectors, rejected))

    def _gpus(self, vectors: Vectors, rejected: Counter[str]) -> pl.DataFrame | None:
        """Collect the GPUs of each job, of each on a node from one exporter; None unless all that show any answer."""
        shown: dict[str, pl.DataFrame] = {}
        for name in self._order["gpus"]:
            gpus = self._providers[name].gpus(vectors, rejected)
            if gpus is None:
                return None
            shown[name] = gpus
        return choose_gpus(shown, _OF_JOB, "utilization")

    def _chosen(self, values: Mapping[str, Any]) -> tuple[dict[str, pl.DataFrame], dict[str, pl.DataFrame]]:
        """Take each value of a job on a node from one exporter; say from which, where there are several."""
        shown: ByExporter = {
            name: {column: values[key] for column, key in each.of_nodes.items() if key in values}
            for name, each in self._providers.items()
        }
        found: dict[str, pl.DataFrame] = {}
        by: dict[str, pl.DataFrame] = {}
        for kind, columns in _TOGETHER:
            frames, chosen = choose(shown, columns, self._order[kind], _OF_JOB)
            found |= frames
            by |= {} if chosen is None else dict.fromkeys(columns, chosen)
        return found, by

    def _healthy(self, filled: Filled[Any]) -> frozenset[str] | None:
        """Give the nodes on which an exporter of jobs answers; None where that is not known of each exporter."""
        keys = [each.healthy_key for each in self._providers.values() if each.healthy_key]
        if not keys or not filled.values.keys() >= {*keys}:
            return None
        return frozenset[str]().union(*(filled.values[key] for key in keys))

    def _vouching_for_gpus(self, at: float, vectors: Vectors, filled: Filled[Any]) -> frozenset[str] | None:
        """Give the nodes whose exporter has shown GPUs; where others answer as well, the very one must answer."""
        vouching = [each for each in self._providers.values() if each.gpu_nodes]
        found = []
        for each in vouching:
            healthy = filled.values.get(each.healthy_key or "")
            known = each.gpu_nodes.update(at, each.showing_gpus(vectors), healthy) if each.gpu_nodes else frozenset()
            is_alone = [each.name] == [one.name for one in self._providers.values() if one.healthy_key]
            found.append(known if is_alone else known & (healthy or frozenset()))
        return frozenset[str]().union(*found) if vouching else None

    def _unknown(self) -> Mapping[str, str]:
        errors = [each.gpu_nodes.failed for each in self._providers.values() if each.gpu_nodes]
        return {GPU_NODES: next(filter(None, errors))} if any(errors) else {}

    def _questions(self, at: float, vectors: Vectors, filled: Filled[Any]) -> ByInput:
        """Say what was asked for the values that there are, by the input's name."""
        found: dict[str, tuple[Question, ...]] = {}
        for each in self._providers.values():
            for name, question in each.questions(at, vectors, filled):
                found[name] = (*found.get(name, ()), question)
        return found
