"""Under which names a site stores the metrics that values are from."""

from collections.abc import Mapping

from aggregator.config import Config
from aggregator.sources.prometheus.exporters import lustre_exporter, slurm_job_exporter
from aggregator.sources.prometheus.inputs import stored_names

_INPUTS = {
    "slurm_job_exporter": (*slurm_job_exporter.JOB_INPUTS, *slurm_job_exporter.GPU_INPUTS),
    # The proxy's settings go first, as they do when its series are read.
    "lustre_exporter_slurm": lustre_exporter.INPUTS,
    "lustre_exporter": lustre_exporter.INPUTS,
}


def names_of(config: Config) -> Mapping[str, Mapping[str, str]]:
    """Give each cluster's names by the exporters' own, where they differ."""
    found: dict[str, dict[str, str]] = {}
    for cluster, section in config.clusters.items():
        names = found.setdefault(cluster, {})
        exporters = section.exporters.in_use
        for exporter, inputs in _INPUTS.items():
            if exporter in exporters:
                names.update({**stored_names(inputs, exporters[exporter].metrics), **names})
    return found


def renamed(exporter: str, metrics: Mapping[str, str]) -> Mapping[str, str]:
    """Give the site's names of an exporter's metrics, also of those that are named by what is read of them."""
    return {**metrics, **stored_names(_INPUTS.get(exporter, ()), metrics)}
