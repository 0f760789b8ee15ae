"""The words of PromQL that expressions are made of; a $name in them stands for what a site calls it (render.py)."""

from collections.abc import Callable, Iterable, Mapping

# label, operator (=, !=, =~ or !~), value
Matcher = tuple[str, str, str]
# The whole of a label that is there.
ANY = '"(.+)"'


def selector(metric: str, equal: Mapping[str, str], *matchers: Matcher) -> str:
    """Write `metric{label="value",…}` with escaped values; the only place where values enter PromQL."""
    every = [*((label, "=", value) for label, value in equal.items()), *matchers]
    pairs = ",".join(f"{label}{operator}{quote(value)}" for label, operator, value in every)
    return f"{metric}{{{pairs}}}" if pairs else metric


def any_of(metrics: Iterable[str], equal: Mapping[str, str]) -> str:
    """Select the series of several metrics."""
    return selector("", equal, ("__name__", "=~", "|".join(metrics)))


def quote(value: str) -> str:
    """Write a PromQL string."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def labelled(vector: str, label: str, value: str) -> str:
    """Put a label on each series."""
    return f'label_replace({vector}, "{label}", "{value}", "", "")'


def lines(label: str, vectors: Mapping[str, str]) -> str:
    """Put vectors together, each under its value of a label."""
    return " or ".join(labelled(vector, label, value) for value, vector in vectors.items())


def extracted(vector: str, label: str, source: str, pattern: str) -> str:
    """Make a label of the first group of a pattern (a PromQL string, of RE2) that is the whole of another label."""
    return f'label_replace({vector}, "{label}", "$$1", "{source}", {pattern})'


def grouped(operator: str, labels: str, vector: str) -> str:
    """Aggregate by labels."""
    return f"{operator} by ({labels}) ({vector})"


def slopes(
    counter: str, each: str, per: str, *, summed: str = "", seen: str = "", prepare: Callable[[str], str] = str
) -> str:
    """Write the slope of a counter for each set of the labels `each`, added up by the labels `summed`.

    Where the whole window was observed it is the rate. A rate is divided by the whole window: where half of it was not
    observed it would be half as large. There the slope is that of the samples that exist, at least two, for
    VictoriaMetrics makes a slope of 0 of one. What has ended, is no longer observed, or began anew has no slope then.
    Samples are counted by the labels `per`, of the metric `seen` where that has fewer series than the counter.
    prepare adds labels to each series.
    """

    def count(window: str) -> str:
        return grouped("max", per, prepare(f"count_over_time(${seen or counter}[{window}])"))

    def sums(slope: str) -> str:
        largest = grouped("max", each, prepare(slope))
        return grouped("sum", summed, largest) if summed else largest

    rate = sums(f"rate(${counter}[$window])")
    # A series that has ended is not added to the one that follows it (a target on another server).
    slope = sums(f"((deriv(${counter}[$window]) >= 0) and count_over_time(${counter}[$recent]) > 0)")
    whole = f"{rate} and on ({per}) {count('$longer')} > $whole"
    part = f"{slope} and on ({per}) {count('$window')} > 1 and on ({per}) {count('$recent')} > 0"
    return f"({whole} or {part})"


_PORT = '"(?:[[].*[]]|[^:]*):([0-9]+)"'


def vouching(shown: str, up: str) -> str:
    """Write on which nodes all targets of an exporter are up: one that is down may be the one that sees.

    A target is the exporter's when targets of its scrape job on its port have shown jobs within the hour. Another
    exporter of the node in the same scrape job has another port, and does not vouch. Steps of five minutes miss
    nothing, since a sample is found for so long.
    """
    shows = f"group by (job, instance) ({shown})"
    lately = f"{shows} or group by (job, instance) (last_over_time(({shows})[1h:5m]))"
    serving, targets = (extracted(vector, "exporter_port", "instance", _PORT) for vector in (lately, up))
    return f"min by ($node) ({targets} and on (job, exporter_port) group by (job, exporter_port) ({serving})) == 1"
