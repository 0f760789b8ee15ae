"""The service's own families as gzip members, written again only when something has changed."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Generic, TypeVar

from prometheus_client.core import Metric
from prometheus_client.utils import floatToGoString

from aggregator.engine.exposition import compress, escape_help

T = TypeVar("T")
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class OwnFamilies(Generic[T]):
    """Some of the service's own families.

    `look` gives what they show, and `collect` makes them of it. What `look` gives is compared with the last: equal is
    shown alike. Both are called in the event loop: in a thread they would hold it up for as long, and a scrape would
    wait for the threads that compute.
    """

    def __init__(self, look: Callable[[], T], collect: Callable[[T], Iterable[Metric]]) -> None:
        self._look = look
        self._collect = collect
        self._members: dict[bool, tuple[T, bytes]] = {}

    def collect(self) -> Iterable[Metric]:
        """Make the families of now."""
        return self._collect(self._look())

    def member(self, openmetrics: bool) -> bytes:
        """Write the families of now."""
        seen = self._look()
        known = self._members.get(openmetrics)
        if known is not None and known[0] == seen:
            return known[1]
        content = compress(write(self._collect(seen), openmetrics))
        self._members[openmetrics] = seen, content
        return content


def write(metrics: Iterable[Metric], openmetrics: bool) -> bytes:
    """Write gauges, counters and histograms as prometheus_client does, in a quarter of its time; without `# EOF`."""
    return "".join(line for metric in metrics for line in _lines(metric, openmetrics)).encode(errors="replace")


def _lines(metric: Metric, openmetrics: bool) -> Iterator[str]:
    name = f"{metric.name}_total" if metric.type == "counter" and not openmetrics else metric.name
    yield f"# HELP {name} {escape_help(metric.documentation)}\n# TYPE {name} {metric.type}\n"
    for sample in metric.samples:
        yield f"{sample.name}{_labels(sample.labels)} {floatToGoString(sample.value)}\n"  # type: ignore[no-untyped-call]


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join([_pair(name, labels[name]) for name in sorted(labels)]) + "}"


@lru_cache(maxsize=4096)
def _pair(name: str, value: str) -> str:
    return f'{name}="{value.translate(_ESCAPES)}"'
