"""When a recorded series may stand for an input's expression: while it is fresh and whole, never because it exists.

Rules may stop, lag, start anew, or be evaluated in one Prometheus of several. The witness is an input that is read
directly at every fetch: each job and node that it has shown for long enough must be in the recorded answer.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aggregator.sources.prometheus.client import Sample
from aggregator.sources.prometheus.expression import Expression
from aggregator.sources.prometheus.render import recorded_promql
from aggregator.sources.prometheus.settings import ExporterSettings

RETRY_SECONDS = 600.0

# The labels of job and node as they came: both inputs are of the same series.
Key = tuple[str, str]


@dataclass(slots=True)
class _Recording:
    """One recorded input, and whether the last answer was used; retry_at is None before the first witness."""

    query: str
    witness: str
    used: bool = False
    retry_at: float | None = None
    first_seen: dict[Key, float] = field(default_factory=dict)

    def is_due(self, at: float) -> bool:
        return self.retry_at is not None and at >= self.retry_at


class Recordings:
    """The recorded inputs of one cluster, from fetch to fetch."""

    def __init__(
        self, inputs: Iterable[Expression], matchers: Mapping[str, str], settings: ExporterSettings, labels: Key
    ) -> None:
        self._labels = labels
        # After so long a job on a node has samples for a slope, and rules have been evaluated since.
        self._settle = settings.rate_window + settings.recorded_age
        self._names = tuple(item.name for item in inputs if item.recorded)
        self._recordings = {
            item.name: _Recording(query, item.witness)
            for item in inputs
            if (query := recorded_promql(item, matchers, settings)) is not None
        }

    def used(self, name: str) -> bool:
        """Say whether the last judged answer of an input is the recorded one."""
        return name in self._recordings and self._recordings[name].used

    @property
    def features(self) -> Mapping[str, bool]:
        """Say which inputs are read from recorded series."""
        return {f"recorded:{name}": self.used(name) for name in self._names}

    def queries(self, at: float) -> Mapping[str, str]:
        """Give the queries to ask instead of the expressions: none before the witness could notice a gap."""
        return {name: recording.query for name, recording in self._recordings.items() if recording.is_due(at)}

    def judge(self, vectors: Mapping[str, Sequence[Sample]], at: float) -> Sequence[str]:
        """Decide which answers to `queries` are used; give the names of the others, to be asked as expressions."""
        refused = []
        for name, recording in self._recordings.items():
            asked = recording.is_due(at)
            whole = self._covers(recording, vectors.get(recording.witness), vectors.get(name, ()), at)
            recording.used = asked and whole
            if asked and not whole:
                refused.append(name)
                recording.retry_at = at + RETRY_SECONDS
        return refused

    def _covers(
        self, recording: _Recording, witness: Sequence[Sample] | None, recorded: Sequence[Sample], at: float
    ) -> bool:
        """Note what the witness shows, and say whether all of it that has settled is in a recorded answer."""
        if witness is None:
            return False
        if recording.retry_at is None:
            recording.retry_at = at + self._settle
        seen = recording.first_seen
        recording.first_seen = {key: seen.get(key, at) for key in self._keys(witness)}
        found = self._keys(recorded)
        return bool(found) and all(
            key in found or at - since < self._settle for key, since in recording.first_seen.items()
        )

    def _keys(self, samples: Iterable[Sample]) -> set[Key]:
        job, node = self._labels
        return {(sample.metric.get(job, ""), sample.metric.get(node, "")) for sample in samples}
