"""Declare the exporters that a site's Prometheus scrapes, and how often."""

from typing import Annotated

from pydantic import AfterValidator, Field

from aggregator.config.public import Pattern
from aggregator.document.section import Section
from aggregator.document.types import Interval, LabelName, MetricName, Names, Text, parse_duration, refused
from aggregator.model.lustre_jobid import JobIdNameError, compile_name

# label, operator, value
Matcher = tuple[str, str, str]


class Exporter(Section):
    """Say how often an exporter is scraped, and under which names its series are stored."""

    interval: Interval = parse_duration("30s")
    metrics: dict[Text, MetricName] = Field(default_factory=dict)
    labels: dict[Text, LabelName] = Field(default_factory=dict)

    @property
    def matchers(self) -> dict[str, Matcher]:
        """Give the matchers of what the site says where it is, by name."""
        return {}


class NodeExporter(Exporter):
    """Describe node_exporter, and say where the nodes have their local scratch."""

    scratch_mount: Text = "/localscratch"

    @property
    def matchers(self) -> dict[str, Matcher]:
        """Match the mount of the local scratch."""
        return {"scratch": ("mountpoint", "=", self.scratch_mount)}


class MinuteExporter(Exporter):
    """Describe an exporter that asks slurmctld, usually each minute."""

    interval: Interval = parse_duration("60s")


class SlowExporter(Exporter):
    """Describe an exporter whose own source is slow to answer."""

    interval: Interval = parse_duration("90s")


class RedfishExporter(SlowExporter):
    """Describe redfish_exporter, and name the PowerControl members that are added up: those of a node are disjoint."""

    members: Pattern | None = None

    @property
    def matchers(self) -> dict[str, Matcher]:
        """Match the members by their name; released versions of the exporter misspell its label."""
        if self.members is None:
            return {}
        return {
            "members": ("power_voltage", "=~", self.members),
            "old_members": ("power_votage", "=~", self.members),
        }


def _check_jobid_name(name: str) -> str:
    try:
        compile_name(name)
    except JobIdNameError as error:
        raise refused(str(error)) from error
    return name


JobIdNames = Annotated[tuple[Annotated[str, AfterValidator(_check_jobid_name)], ...], Field(strict=False)]


class LustreExporter(SlowExporter):
    """Describe the exporter of Lustre's servers, and what their clients have in jobid_name beside the usual."""

    jobid_names: JobIdNames = ()


class Exporters(Section):
    """Name the exporters in use; one that is absent is not used."""

    slurm_job_exporter: Exporter | None = None
    slurm_exporter: MinuteExporter | None = None
    node_exporter: NodeExporter | None = None
    lustre_exporter: LustreExporter | None = None
    lustre_exporter_slurm: LustreExporter | None = None
    redfish_exporter: RedfishExporter | None = None
    dcgm_exporter: Exporter | None = None
    pcm_sensor_server: Exporter | None = None
    nvidia_gpu_exporter: Exporter | None = None
    libvirtd_exporter: Exporter | None = None
    lfs_quota_exporter: SlowExporter | None = None
    gpfs_exporter: SlowExporter | None = None

    @property
    def in_use(self) -> dict[str, Exporter]:
        """Give the exporters in use by name."""
        return {name: exporter for name, exporter in self if exporter is not None}


class Providers(Section):
    """Name the exporters that are believed first, where several bring the same of a job on a node."""

    cpus: Names = ()
    memory: Names = ()
    gpus: Names = ()

    @property
    def first(self) -> dict[str, tuple[str, ...]]:
        """Give the exporters by the kind of value."""
        return {kind: names for kind, names in self if names}
