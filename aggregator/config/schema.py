"""Declare every section of the configuration file with its defaults."""

from typing import Annotated, Literal

from pydantic import Field, PrivateAttr, model_validator

from aggregator.config.auth import Auth
from aggregator.config.cloud import Cloud
from aggregator.config.connection import Prometheus, Robinhood, SlurmAcct, Tls
from aggregator.config.energy import Energy
from aggregator.config.exporter import Exporters, Providers
from aggregator.config.nodes import Nodes
from aggregator.config.parts import Parts
from aggregator.config.public import Public
from aggregator.document.secrets import DatabaseUrl, StateUrl
from aggregator.document.section import PasswordSection, Section
from aggregator.document.types import (
    Address,
    ClusterName,
    Connections,
    Count,
    Duration,
    File,
    FrameSources,
    HostNames,
    Interval,
    LabelBytes,
    LabelName,
    ListenAddress,
    MonthDay,
    Names,
    Size,
    Text,
    Texts,
    Url,
    parse_duration,
    parse_size,
    refused,
)
from aggregator.model.software import Software
from aggregator.model.waste import Exemption as RuleExemption
from aggregator.model.waste import Rule


class Usage(Section):
    """Say on which day the site's fiscal year begins."""

    fiscal_year_start: MonthDay | None = None


class Bounds(Section):
    """Bound what clients may ask of the service at once."""

    connections: Connections = 512
    header_timeout: Interval = parse_duration("10s")
    request_timeout: Interval = parse_duration("30s")
    requests_per_second: Count = 20
    burst: Count = 100
    expensive_at_once: Count = 4


class Server(Section):
    """Say where to listen, how others reach the service, and what it bears."""

    listen_address: Address = ListenAddress("", 9850)
    external_url: Url | None = None
    allowed_hosts: HostNames = ()
    frame_ancestors: FrameSources = ()
    bounds: Bounds = Bounds()


class Refresh(Section):
    """Say how often the sources are read and how long their data hold."""

    interval: Interval = parse_duration("30s")
    stale_after: Interval = parse_duration("5m")
    ended_job_retention: Duration = parse_duration("10m")
    stalled_after: Interval = parse_duration("10m")
    max_concurrent_queries: Count = 8


class State(PasswordSection):
    """Say where the service keeps its own tables."""

    url: StateUrl = DatabaseUrl("sqlite:////var/lib/hpc-aggregator/state.db")
    summary_retention: Interval = parse_duration("5y")
    script_retention: Interval = parse_duration("1y")
    alert_retention: Interval = parse_duration("1y")
    tls: Tls | None = None


class Partitions(Section):
    """Choose the partitions that count."""

    ignore: Texts = ()


class Cluster(Section):
    """Describe one Slurm cluster and what is known of it."""

    slurmacct: SlurmAcct
    prometheus: Prometheus
    nodes: Nodes = Nodes()
    exporters: Exporters = Exporters()
    providers: Providers = Providers()
    partitions: Partitions = Partitions()
    parts: Parts = Parts()


class Quota(Section):
    """Say where the quotas of a filesystem are read."""

    source: Literal["allocations", "lfs_quota", "gpfs"]
    of: Literal["group", "user", "fileset"] = "group"
    path: Text | None = None
    label: LabelName = "project"
    filesystem: Text | None = None
    filesets: Texts = ()


class Filesystem(Section):
    """Describe one filesystem."""

    robinhood: Robinhood | None = None
    interval: Interval = parse_duration("5m")
    hsm: bool = False
    quota: Quota | None = None
    cluster: Text | None = None


class Allocations(Section):
    """Name the file of compute awards and storage quotas."""

    file: File | None = None


class Exemption(Section):
    """Name runs that are not judged: all the keys that are given must match; job_name has shell patterns."""

    partition: Names = ()
    qos: Names = ()
    account: Names = ()
    user: Names = ()
    job_name: Names = ()

    @model_validator(mode="after")
    def _check_not_empty(self) -> "Exemption":
        if not any((self.partition, self.qos, self.account, self.user, self.job_name)):
            raise refused("must name account, job_name, partition, qos or user: it would exempt everything")
        return self

    def to_model(self, rules: tuple[str, ...] = ()) -> RuleExemption:
        """Give the exemption as the judge knows it."""
        return RuleExemption(
            partitions=frozenset(self.partition), qos=frozenset(self.qos), accounts=frozenset(self.account),
            users=frozenset(self.user), job_names=self.job_name, rules=frozenset(rules),
        )  # fmt: skip


class WasteExemption(Exemption):
    """Name runs that are not judged by some rules, or by any."""

    rules: Texts = ()


class Waste(Section):
    """Say by which rules waste is judged, which share of a node is normal, and who is not judged."""

    rules_file: File | None = None
    normal_memory_per_cpu: Size = parse_size("4GiB")
    normal_memory_per_gpu: Size = parse_size("128GiB")
    normal_cpus_per_gpu: Count = 12
    exemptions: Annotated[tuple[WasteExemption, ...], Field(strict=False)] = ()


class SeriesLimits(Section):
    """Bound of how many things there are series, by the group of their families (`?collect[]=`).

    parts is the bound of each group of a part of another package.
    """

    jobs: Count = 2_000_000
    users: Count = 100_000
    accounts: Count = 100_000
    nodes: Count = 100_000
    storage: Count = 100_000
    cloud: Count = 100_000
    parts: Count = 100_000


class Limits(Section):
    """Bound what the service exposes."""

    series: SeriesLimits = SeriesLimits()
    job_name_bytes: LabelBytes = 128


class Log(Section):
    """Choose what is logged, and how."""

    level: Literal["debug", "info", "warn", "error"] = "info"
    format: Literal["logfmt", "json"] = "logfmt"


class Config(Section):
    """Hold the whole configuration."""

    server: Server = Server()
    refresh: Refresh = Refresh()
    state: State = State()
    clusters: dict[ClusterName, Cluster] = Field(default_factory=dict)
    filesystems: dict[Text, Filesystem] = Field(default_factory=dict)
    allocations: Allocations = Allocations()
    cloud: dict[Text, Cloud] = Field(default_factory=dict)
    energy: Energy = Energy()
    usage: Usage = Usage()
    waste: Waste = Waste()
    limits: Limits = Limits()
    public: Public = Public()
    auth: Auth | None = None
    log: Log = Log()

    _warnings: tuple[str, ...] = PrivateAttr(default=())
    _rules: tuple[Rule, ...] = PrivateAttr(default=())

    @property
    def warnings(self) -> tuple[str, ...]:
        """Give one line for each thing that is accepted but deserves attention."""
        return self._warnings

    @property
    def waste_rules(self) -> tuple[Rule, ...]:
        """Give the rules of waste that are in force: the shipped ones as `waste.rules_file` changes them."""
        return self._rules

    @property
    def waste_exemptions(self) -> tuple[RuleExemption, ...]:
        """Give who is not judged by all rules, or by those that the exemption names."""
        return tuple(section.to_model(section.rules) for section in self.waste.exemptions)

    @property
    def software(self) -> tuple[Software, ...]:
        """Give what executables belong to, the first that fits."""
        return tuple(section.to_model() for section in self.public.software)
