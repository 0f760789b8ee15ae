"""When a recorded series may stand for an input's expression: while it is fresh and whole, never because it exists.

Rules may stop, lag, start anew, or be evaluated in one Prometheus of several. The witness is an input that is read
directly at every fetch: each job and node that it has shown for long enough must be in the recorded answer.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from aggregator.sources.prometheus.expression import Expression
from aggregator.sources.prometheus.render import recorded_promql
from aggregator.sources.prometheus.settings import ExporterSettings

RETRY_SECONDS = 600.0

# The labels of job and node as they came: both inputs are of the same series.
_KEYS: Final = ("job", "node")
_FIRST_SEEN: Final = pl.Schema({**dict.fromkeys(_KEYS, pl.String), "first_seen": pl.Float64})


@dataclass(slots=True)
class _Recording:
    """One recorded input, and whether the last answer was used; retry_at is None before the first witness."""

    query: str
    witness: str
    used: bool = False
    retry_at: float | None = None
    first_seen: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_FIRST_SEEN))

    def is_due(self, at: float) -> bool:
        return self.retry_at is not None and at >= self.retry_at


class Recordings:
    """The recorded inputs of one cluster, from fetch to fetch."""

    def __init__(self, inputs: Iterable[Expression], matchers: Mapping[str, str], settings: ExporterSettings) -> None:
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

    def judge(self, vectors: Mapping[str, pl.DataFrame], at: float) -> Sequence[str]:
        """Decide which answers to `queries` are used; give the names of the others, to be asked as expressions.

        The vectors of recorded inputs and of their witnesses have the columns `job` and `node`.
        """
        refused = []
        for name, recording in self._recordings.items():
            asked = recording.is_due(at)
            whole = self._covers(recording, vectors.get(recording.witness), vectors.get(name), at)
            recording.used = asked and whole
            if asked and not whole:
                refused.append(name)
                recording.retry_at = at + RETRY_SECONDS
        return refused

    def _covers(
        self, recording: _Recording, witness: pl.DataFrame | None, recorded: pl.DataFrame | None, at: float
    ) -> bool:
        """Note what the witness shows, and say whether all of it that has settled is in a recorded answer."""
        if witness is None:
            return False
        if recording.retry_at is None:
            recording.retry_at = at + self._settle
        seen = witness.select(_KEYS).unique().join(recording.first_seen, on=_KEYS, how="left")
        recording.first_seen = seen.with_columns(pl.col("first_seen").fill_null(at))
        if recorded is None or recorded.is_empty():
            return False
        settled = recording.first_seen.filter(at - pl.col("first_seen") >= self._settle)
        return settled.join(recorded, on=_KEYS, how="anti").is_empty()
