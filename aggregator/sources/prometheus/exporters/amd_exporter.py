"""Inputs from the exporters of AMD's GPUs that know whose a GPU is: device-metrics-exporter and omnistat.

device-metrics-exporter (github.com/ROCm/device-metrics-exporter, v1.5: docs/configuration/metricslist.md,
docs/integrations/slurm-integration.md, docs/releasenotes.md): a prolog says the job, which is the label `job_id` if the
site has configured it, "" without a job. gpu_gfx_activity is in percent, gpu_used_vram in MB, gpu_package_power (MI3xx)
or gpu_average_package_power (MI2xx) in watts. Of partitions (CPX) there is no activity, and the power of the first is
that of all. Before v1.4 what a GPU lacks is 0. The site may put a prefix before all names: `metrics` has them then.

omnistat (github.com/ROCm/omnistat: omnistat/collector_amdsmi.py, collector_rms.py, docs/metrics.md): a GPU is a `card`.
rocm_utilization_percentage and rocm_vram_used_percentage, of rocm_vram_total_bytes, are in percent,
rocm_average_socket_power_watts in watts. The job is on rmsjob_info alone, which is about the whole node: where several
jobs share one, it may say the newest. It has no job while none runs.

amd_smi_exporter (github.com/amd/amd_smi_exporter) knows no jobs, and is not read.
"""

from aggregator.sources.prometheus.exporter import Exporter, Needed, OfWindows, Provides, needed
from aggregator.sources.prometheus.expression import Expression, Metric
from aggregator.sources.prometheus.promql import ANY, extracted

_NAMED = (("job_id", "!=", ""),)
_WHOLE = (*_NAMED, ("gpu_compute_partition_type", "=~", "(?i)(spx)?"))
_INFO = {"info": Metric("rmsjob_info", (("jobid", "!=", ""),))}
_BUSY, _CARD_BUSY = "gpu_gfx_activity", "rocm_utilization_percentage"
_USED, _CARD_USED, _CARD_TOTAL = "gpu_used_vram", "rocm_vram_used_percentage", "rocm_vram_total_bytes"
_PACKAGE, _AVERAGE, _CARD_WATTS = "gpu_package_power", "gpu_average_package_power", "rocm_average_socket_power_watts"
_NOW, _MEAN = "(${0} and timestamp(${0}) >= time() - $age)", "avg_over_time(${0}_valid[$moments])"


def _of_jobs(named: str, cards: str, info: str) -> str:
    """Write a value by job and GPU: of series that name the job, or else of the cards of a node with one job."""
    jobs = f"group by (instance, $node, $jobid) ({info})"
    alone = f"({jobs} and on (instance) count by (instance) ({jobs}) == 1)"
    of_card = f"max by (instance, $node, $card) ({cards}) * on (instance, $node) group_left ($jobid) {alone}"
    return (
        f"max by ($job, $node, $gpu_uuid, $gpu_id, $serial_number) ({named})"
        f" or max by ($job, $node, $card) ({extracted(of_card, '$job', '$jobid', ANY)})"
    )


def _expression(
    name: str, named: str, cards: str, metrics: dict[str, Metric], *, scale: float = 1.0, low: float = 0.0,
    high: float, is_mean: bool = False,
) -> Expression:  # fmt: skip
    info = "last_over_time($info[$hold])" if is_mean else "$info"
    return Expression(
        name=name, metrics={**metrics, **_INFO}, text=_of_jobs(named, cards, info), scale=scale, low=low, high=high,
        job_label="job_id", names_jobs=False, meaning="omnistat's are right where jobs do not share nodes",
    )  # fmt: skip


def _utilization(form: str) -> Expression:
    metrics = {"named": Metric(_BUSY, _WHOLE), "cards": Metric(_CARD_BUSY)}
    named, cards = form.format("named"), form.format("cards")
    return _expression("job_utilization", named, cards, metrics, scale=0.01, high=1.005, is_mean=form == _MEAN)


PROVIDES = Provides(
    gpus=(
        _utilization(_NOW),
        _expression(
            "job_memory", f"2 ^ 20 * {_NOW.format('named')}", f"{_NOW.format('cards')} / 100 * {_NOW.format('total')}",
            {"named": Metric(_USED, _NAMED), "cards": Metric(_CARD_USED), "total": Metric(_CARD_TOTAL)}, high=1e13,
        ),
    ),
    gpu_labels=("gpu_uuid", "gpu_id", "serial_number", "card"),
    of_windows=OfWindows(
        gpu_utilization=_utilization(_MEAN),
        gpu_watts=_expression(
            "job_watts", f"{_MEAN.format('named')} or {_MEAN.format('average')}", _MEAN.format("cards"),
            {"named": Metric(_PACKAGE, _WHOLE), "average": Metric(_AVERAGE, _WHOLE), "cards": Metric(_CARD_WATTS)},
            low=1.0, high=1e5, is_mean=True,
        ),
    ),
)  # fmt: skip
NEEDED = (
    Needed("GPUs used by jobs", (_BUSY, _CARD_BUSY)),
    Needed("GPU memory used by jobs", (_USED, _CARD_USED), always=False),
    needed(_CARD_TOTAL, "with omnistat: GPU memory used by jobs", always=False),
    needed("rmsjob_info", "with omnistat: which job has the node's GPUs", always=False),
    Needed("the power of jobs' GPUs", (_PACKAGE, _AVERAGE, _CARD_WATTS), always=False),
)

EXPORTER = Exporter(inputs=PROVIDES.asked, needed=NEEDED, provides=PROVIDES)
