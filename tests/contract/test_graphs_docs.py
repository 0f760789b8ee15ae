"""docs/graphs.md says what may be drawn."""

from pathlib import Path

import pytest

from aggregator.config.exporter import Exporters
from aggregator.sources.prometheus.catalogue import GRAPHS, OWN
from aggregator.sources.prometheus.expression import JOB, LABELS, NODE, SLURM_NODE, TARGET
from tests.contract.graphs_page import graphs_page

PAGE = Path(__file__).parents[2] / "docs" / "graphs.md"


def test_the_graphs_page_is_what_the_code_draws(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-golden"):
        PAGE.write_text(graphs_page())
    assert PAGE.read_text() == graphs_page(), "run pytest tests/contract --update-golden"


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
