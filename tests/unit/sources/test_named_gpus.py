"""Which of two exporters' views of a job's GPUs on a node is believed."""

import subprocess
from pathlib import Path

import polars as pl
import pytest

from aggregator.sources.prometheus.named import NOW, WINDOW, labels_of, named_gpus, prefer
from aggregator.sources.prometheus.render import promql
from aggregator.sources.prometheus.settings import ExporterSettings
from tests.lab.packages import promtool
from tests.use import Gpu, gpus_by_job, gpus_frame

OURS, OTHER = Gpu("n1", "GPU-1", 0.8, 1.0), Gpu("n1", "0", 0.2, 2.0)
INPUTS = [item for table in (NOW, WINDOW) for items in table.values() for item in items]


@pytest.mark.parametrize(
    ("named", "others", "chosen"),
    [
        ([OURS], [OTHER], [OURS]),
        ([OURS], [], [OURS]),
        ([], [OTHER], [OTHER]),
        ([OURS], [OTHER, Gpu("n1", "1", 0.3)], [OTHER, Gpu("n1", "1", 0.3)]),
        ([Gpu("n1", "GPU-1", None, 1.0)], [OTHER], [OTHER]),
        ([OURS], [OTHER, Gpu("n2", "0", 0.3)], [OURS, Gpu("n2", "0", 0.3)]),
    ],
    ids=["named", "alone", "not_named", "fewer", "not_known", "by_node"],
)
def test_gpus_that_name_their_job_win_unless_they_are_fewer(
    named: list[Gpu], others: list[Gpu], chosen: list[Gpu]
) -> None:
    found = prefer(gpus_frame({1: named}), gpus_frame({1: others, 2: [OTHER]}), ("job_id", "node"), "utilization")
    assert gpus_by_job(found) == {1: tuple(chosen), 2: (OTHER,)}


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"hpc_job": "7", "UUID": "GPU-1", "gpu": "0"}, (7, "GPU-1", False)),
        ({"hpc_job": "7", "uuid": "GPU-1", "GPU_I_ID": "3"}, (7, "GPU-1/3", True)),
        ({"hpc_job": "7", "uuid": "MIG-1", "GPU_I_ID": "3"}, (7, "MIG-1", True)),
        ({"hpc_job": "7", "uuid": "MIG-1"}, (7, "MIG-1", True)),
        ({"hpc_job": "s00000000000AB", "gpu": "0"}, (None, "0", False)),
        ({"uuid": "GPU-1"}, (None, "GPU-1", False)),
    ],
)
def test_the_labels_of_every_release_are_read(labels: dict[str, str], expected: tuple[object, ...]) -> None:
    settings = ExporterSettings(labels={"UUID": "board"})
    stored = {"board" if label == "UUID" else label: value for label, value in labels.items()}
    row = {column: stored.get(label, "") for column, label in labels_of(settings).items()}
    assert named_gpus(pl.DataFrame([row])).rows() == [expected]


def test_every_expression_is_promql(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yml"
    texts = [promql(item, {"cluster": "c"}, ExporterSettings(), "instance", 60.0) for item in INPUTS]
    lines = "".join(f"  - record: r{number}\n    expr: >-\n      {text}\n" for number, text in enumerate(texts))
    rules.write_text(f"groups:\n- name: g\n  rules:\n{lines}")
    done = subprocess.run([promtool(), "check", "rules", str(rules)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
