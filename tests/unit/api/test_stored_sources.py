"""The `source` of a value says what the site calls the metric that it is from."""

from aggregator.api.provenance import as_stored
from aggregator.api.representation import CPU, GPU

NAMES = {CPU: "slurm-job-exporter site:cores via Prometheus", GPU: "slurm-job-exporter site:gpus via Prometheus"}


def test_every_source_of_an_answer_is_renamed_also_one_that_is_made_of_several() -> None:
    data = {"jobs": [{"use": {"cpus": {"value": 1.0, "source": CPU}}}, {"wasted": {"source": f"slurmacct − {GPU}"}}]}
    assert as_stored(data, NAMES) == {
        "jobs": [
            {"use": {"cpus": {"value": 1.0, "source": NAMES[CPU]}}},
            {"wasted": {"source": f"slurmacct − {NAMES[GPU]}"}},
        ]
    }


def test_nothing_else_is_renamed() -> None:
    data = {"sources": [{"source": "slurmacct", "error": CPU}], "name": CPU, "count": 1, "source": {"deep": None}}
    assert as_stored(data, NAMES) == data
    assert as_stored({"source": CPU}, {}) == {"source": CPU}


def test_names_that_change_places_are_each_renamed_once() -> None:
    assert as_stored({"source": f"{CPU} ÷ {GPU}"}, {CPU: GPU, GPU: CPU}) == {"source": f"{GPU} ÷ {CPU}"}
