"""Fetch what runs in one cloud: a constant number of queries at one evaluation time."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from aggregator.model.cloud import RATES, IdleRule
from aggregator.model.instances import INSTANCES, CloudUse
from aggregator.sources.base import FetchError
from aggregator.sources.prometheus.client import PrometheusClient, Sample
from aggregator.sources.prometheus.exporters import libvirtd_exporter as libvirtd
from aggregator.sources.prometheus.expression import Expression
from aggregator.sources.prometheus.instant import ask_all, values_by
from aggregator.sources.prometheus.memory import LastGood
from aggregator.sources.prometheus.nodes import NodeNames
from aggregator.sources.prometheus.render import promql, resolution
from aggregator.sources.prometheus.settings import ExporterSettings

# What instances did over a whole day does not change within minutes, and is dear to ask.
IDLE_EVERY_SECONDS: Final = 600.0

_Values = Mapping[str, float]
# Column → label.
_NAMES: Final = {
    "uuid": "uuid", "instance_name": "instance_name", "project": "project_name", "user": "user_name",
    "flavor": "instance_type",
}  # fmt: skip
# What instances did, by uuid and column.
_Did = Mapping[str, Mapping[str, float | None]]


@dataclass(frozen=True, slots=True)
class _Looked:
    """What every instance did, and when that was asked."""

    at: float
    activities: _Did
    failed: Mapping[str, str]


class PrometheusCloud:
    """Read the series of one cloud's hypervisors."""

    name = "cloud"

    def __init__(
        self,
        client: PrometheusClient,
        matchers: Mapping[str, str],
        exporter: ExporterSettings,
        nodes: NodeNames,
        rule: IdleRule,
        *,
        patience: float = 0.0,
    ) -> None:
        self.rows = 0
        self.features: Mapping[str, bool] = {}
        self._kept: LastGood[Sequence[Sample]] = LastGood(patience)
        self._kept_activities: LastGood[_Did] = LastGood(patience)
        self.memory = (self._kept, self._kept_activities)
        self._client = client
        self._exporter = exporter
        self._nodes = nodes
        self._rule = rule
        self._inputs = {item.name: item for item in libvirtd.NOW_INPUTS}
        self._queries, self._idle_queries = (
            {item.name: promql(item, matchers, exporter, nodes.label, window) for item in items}
            for items, window in ((libvirtd.NOW_INPUTS, 0.0), (libvirtd.IDLE_INPUTS, rule.duration))
        )
        self._looked: _Looked | None = None

    async def fetch(self, at: float) -> CloudUse:
        """Evaluate every input at `at`; one that fails is named, and is as it last was, or missing.

        Raises FetchError when it is not known which instances there are.
        """
        looked = await self._look_back(at)
        answers = await ask_all(self._client, self._queries, at)
        vectors, failed = answers.vectors, answers.failed
        if libvirtd.IDENTITY.name in failed:
            raise FetchError(failed[libvirtd.IDENTITY.name])
        self.rows = sum(map(len, vectors.values()))
        rejected: Counter[str] = Counter()
        kept = self._kept.fill(at, self._queries, vectors).values
        use = CloudUse(
            time=at,
            instances=self._instances(kept, looked.activities, rejected),
            hypervisors=self._hypervisors(kept, rejected),
            failed={**failed, **looked.failed},
            rejected=rejected,
        )
        self._check(use)
        return use

    def _check(self, use: CloudUse) -> None:
        """Raise FetchError when nothing is seen because nobody answers: that is no empty cloud."""
        if use.instances.is_empty() and not any(use.hypervisors.values()):
            if use.hypervisors:
                raise FetchError("no hypervisor's libvirtd_exporter answers")
            raise FetchError(
                "no libvirtd_info within the last hour: check matchers, and that libvirtd_exporter is scraped"
            )

    async def _look_back(self, at: float) -> _Looked:
        """Ask what instances did over the rule's duration, now and then."""
        known, every = self._looked, min(IDLE_EVERY_SECONDS, self._rule.duration / 10)
        if known is None or known.failed or not 0 <= at - known.at < every:
            answers = await ask_all(self._client, self._idle_queries, at)
            # Half of an answer would be taken for all that an instance did.
            seen = {} if answers.failed else {"activities": self._activities(answers.vectors)}
            kept = self._kept_activities.fill(at, ("activities",), seen).values
            known = self._looked = _Looked(at, kept.get("activities", {}), answers.failed)
        return known

    def _activities(self, vectors: Mapping[str, Sequence[Sample]]) -> _Did:
        ignored: Counter[str] = Counter()
        found = {item.name: self._by_uuid(item, vectors[item.name], ignored) for item in libvirtd.IDLE_INPUTS}
        points = self._rule.duration / resolution(self._rule.duration)
        return {
            uuid: {
                "did_cpu_seconds": found["cpu_seconds"].get(uuid),
                "did_network_bytes": found["network_bytes"].get(uuid),
                "did_coverage": min(1.0, seen / points),
            }
            for uuid, seen in found["seen"].items()
        }

    def _instances(
        self, vectors: Mapping[str, Sequence[Sample]], activities: _Did, rejected: Counter[str]
    ) -> pl.DataFrame:
        found = {name: self._by_uuid(self._inputs[name], vectors.get(name, ()), rejected) for name in RATES}
        rows = [
            {**identity, **{name: found[name].get(uuid) for name in RATES}, **activities.get(uuid, {})}
            for uuid, identity in self._identities(vectors[libvirtd.IDENTITY.name], rejected).items()
        ]
        return pl.DataFrame(rows, schema=INSTANCES)

    def _identities(self, vector: Sequence[Sample], rejected: Counter[str]) -> Mapping[str, Mapping[str, str]]:
        """Name each instance as its newest sample does: it may have been renamed, or have come from elsewhere."""
        newest: dict[str, tuple[tuple[Any, ...], Mapping[str, str]]] = {}
        for sample in vector:
            identity = self._identity(sample)
            if not identity["uuid"]:
                rejected["an instance without uuid"] += 1
                continue
            # Of equally new ones always the same.
            key = (float(sample.value[1]), identity["hypervisor"], identity["instance_name"])
            known = newest.get(identity["uuid"])
            if known is None or key > known[0]:
                newest[identity["uuid"]] = key, identity
        return {uuid: identity for uuid, (_, identity) in newest.items()}

    def _identity(self, sample: Sample) -> Mapping[str, str]:
        named = {column: sample.metric.get(self._exporter.label(name), "") for column, name in _NAMES.items()}
        return {**named, "hypervisor": self._nodes.of_labels(sample.metric)}

    def _hypervisors(self, vectors: Mapping[str, Sequence[Sample]], rejected: Counter[str]) -> Mapping[str, bool]:
        """Tell which hypervisors answer; one with two names answers when either does."""
        item, found = libvirtd.HYPERVISORS, dict[str, bool]()
        for name, value in values_by(self._nodes.label, item, item.name, vectors.get(item.name, ()), rejected):
            node = self._nodes.normalize(name)
            found[node] = found.get(node, False) or value > 0
        return found

    def _by_uuid(self, item: Expression, vector: Sequence[Sample], rejected: Counter[str]) -> _Values:
        return dict(values_by(self._exporter.label("uuid"), item, item.name, vector, rejected))
