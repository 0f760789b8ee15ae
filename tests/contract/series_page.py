"""docs/series.md, written from what is needed of each exporter."""

from collections.abc import Iterator

from aggregator.config.exporter import Exporters
from aggregator.sources.prometheus.catalogue import NEEDED, OWN, PROVIDERS, in_order
from aggregator.sources.prometheus.promql import selector

# So many names are shown of a family of metrics of which any will do.
_SHOWN = 3
_HEAD = """# Which series your Prometheus must have

This page is generated from the code (`pytest tests/contract --update-golden` writes it anew; a test compares them).

`hpc-aggregator check --connect` asks for all of this and says what is missing. To try it yourself, put your cluster's
`matchers` into the query of an exporter: it shows how many series of each metric there are on each node. An exporter
is needed only if it is in the `exporters` of your [configuration](configuration.md). *Not everywhere* marks series
that some sites cannot have, such as those of GPUs; the check does not warn of them.

- A matcher is compared with the label as it stands: `cluster: narval`, no regular expression.
- The labels of `matchers` must be on the series themselves. `external_labels` are not on series in the Prometheus that
  scrapes them, only where it sends them. Set the label in the scrape configuration, or leave `matchers` empty where
  this Prometheus has one cluster only.
- The node is in the label `nodes.label` (`instance` by default); port, domain and the suffix of BMCs are cut off.
- Other names of metrics and labels are given by `exporters.….metrics` and `.labels`.
"""


def series_page() -> str:
    """Write the whole page."""
    return "\n".join((_HEAD, *_exporters())).rstrip() + "\n"


_BROUGHT = """## What exporters bring of jobs

Of each job on a node a value is taken from one exporter: the first one in `clusters.….providers`, or else in this
order, that shows it there. Values of two exporters are never added up. `hpc-aggregator explain` says whose they are.

| | exporter | how it differs |
|---|---|---|"""
_KINDS = {"cpus": "cpus", "cpu_seconds": "cpus", "memory_bytes": "memory", "memory_peak_bytes": "memory",
          "threads": "cpus", "gpus": "gpus"}  # fmt: skip


def _brought() -> Iterator[str]:
    """Say which exporter brings which column, in the order in which they are believed."""
    yield _BROUGHT
    for column, kind in _KINDS.items():
        for name in in_order(kind, PROVIDERS):
            there = {item.name: item.meaning for item in PROVIDERS[name].values}
            there |= {"gpus": PROVIDERS[name].gpus[0].meaning} if PROVIDERS[name].gpus else {}
            if column in there:
                yield f"| `{column}` | {name} | {there[column]} |"
    yield ""


def _exporters() -> Iterator[str]:
    yield from _brought()
    for exporter in (*Exporters.model_fields, *sorted(NEEDED.keys() - Exporters.model_fields.keys() - {OWN})):
        needs = NEEDED[exporter]
        yield f"## {exporter}\n"
        yield "| series | what is not known without it | |\n|---|---|---|"
        for need in needs:
            names = ", ".join(f"`{metric}`" for metric in need.metrics[:_SHOWN])
            more = " or others of its family" if len(need.metrics) > _SHOWN else ""
            yield f"| {names}{more} | {need.gives} | {'' if need.always else 'not everywhere'} |"
        metrics = dict.fromkeys(metric for need in needs for metric in need.metrics[:_SHOWN])
        query = selector("", {"cluster": "narval"}, ("__name__", "=~", "|".join(metrics)))
        yield f"\n```promql\ncount by (__name__, instance) ({query})\n```\n"
