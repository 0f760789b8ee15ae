"""Where the values of answers are from: the exporter and its metric, as the site stores it."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from aggregator.sources.prometheus.catalogue import JOB_GAUGES
from aggregator.sources.prometheus.exporters import lustre_exporter, slurm_job_exporter
from aggregator.sources.prometheus.expression import Expression
from aggregator.sources.prometheus.settings import ExporterSettings


class Provenance(NamedTuple):
    """An expression of whose values an answer speaks; exporters are those that show it: the first in use is read."""

    title: str
    exporters: tuple[str, ...]
    expression: Expression

    def text(self, settings: ExporterSettings | None = None) -> str:
        """Say it in words, without settings as the exporter calls its metric."""
        return self.expression.source(self.title, settings or ExporterSettings())


def _of_jobs(expression: Expression) -> Provenance:
    return Provenance("slurm-job-exporter", ("slurm_job_exporter",), expression)


CPU: Final = _of_jobs(slurm_job_exporter.CPUS)
MEMORY: Final = _of_jobs(slurm_job_exporter.MEMORY)
MEMORY_PEAK: Final = _of_jobs(slurm_job_exporter.MEMORY_PEAK)
THREADS: Final = _of_jobs(slurm_job_exporter.THREADS)
GPU: Final = _of_jobs(slurm_job_exporter.GPU_UTILIZATION)
GPU_MEMORY: Final = _of_jobs(slurm_job_exporter.GPU_MEMORY)
# The proxy's settings go first, as they do when its series are read.
LUSTRE: Final[Mapping[str, Provenance]] = {
    name: Provenance("lustre_exporter", ("lustre_exporter_slurm", "lustre_exporter"), expression)
    for name, expression in lustre_exporter.RATES.items()
}
_OF_GAUGES: Final = tuple(
    Provenance(gauge.of, (exporter,), gauge.expression) for exporter, found in JOB_GAUGES.items() for gauge in found
)
_EVERY: Final = (CPU, MEMORY, MEMORY_PEAK, THREADS, GPU, GPU_MEMORY, *LUSTRE.values(), *_OF_GAUGES)


def stored_texts(exporters: Mapping[str, ExporterSettings]) -> Mapping[str, str]:
    """Give what a site's sources are called, by what they are called by default, where that differs."""
    found = {}
    for each in _EVERY:
        settings = next((exporters[name] for name in each.exporters if name in exporters), None)
        if settings is not None and each.text(settings) != each.text():
            found[each.text()] = each.text(settings)
    return found
