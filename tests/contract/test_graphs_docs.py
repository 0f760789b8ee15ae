"""docs/graphs.md says what may be drawn."""

import pytest

from aggregator.config.exporter import Exporters
from aggregator.sources.prometheus.catalogue import GRAPHS, OWN
from aggregator.sources.prometheus.expression import JOB, LABELS, NODE, SLURM_NODE, TARGET


@pytest.mark.parametrize("exporter", GRAPHS)
def test_a_graph_has_one_meaning_in_its_exporter_and_parts_have_their_whole(exporter: str) -> None:
    graphs = GRAPHS[exporter]
    assert exporter in {*Exporters.model_fields, OWN}
    for graph in graphs:
        assert set(graph.by.values()) <= {JOB, NODE, SLURM_NODE, LABELS, TARGET}
        assert not graph.whole or any(
            graph.whole == other.name and graph.by.keys() <= other.by.keys() for other in graphs
        )
    names = [(graph.name, subject) for graph in graphs for subject in graph.by]
    assert len(names) == len(set(names))
