"""What a site consists of: its sources, opened from the configuration."""

import base64
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from aggregator.app.exported import CloudSources, QuotaSources, open_cloud, open_quotas
from aggregator.app.extensions import Sources, sources_of_others
from aggregator.app.stored import renamed, settings_of
from aggregator.app.tls import client_tls
from aggregator.config import Cluster, Config, Database, Energy, Filesystem, Prometheus
from aggregator.config.connection import USAGE_CONNECTIONS
from aggregator.config.connection import Robinhood as RobinhoodSection
from aggregator.config.connection import SlurmAcct as SlurmAcctSection
from aggregator.config.demand import connections, login_of
from aggregator.extension import Lent
from aggregator.model.decay import Decay
from aggregator.model.job_inputs import Accounting, Use
from aggregator.model.lustre import LustreUse
from aggregator.model.node import Kind
from aggregator.model.nodename import NodeRule
from aggregator.model.readings import NodeSize
from aggregator.model.replication import Replication
from aggregator.model.storage import Allocations, FilesystemUsage
from aggregator.queries.readers import Readers, ReplicaNotes
from aggregator.queries.series import SeriesReader
from aggregator.refresh.bases import BaseReader
from aggregator.refresh.ledger import PowerSource
from aggregator.refresh.lustre import UserNames
from aggregator.sources import mysql
from aggregator.sources.allocations import AllocationsFile
from aggregator.sources.base import FetchError, Source
from aggregator.sources.job_numbers import JobNumbers
from aggregator.sources.prometheus import (
    ExporterSettings,
    NodeNames,
    Presence,
    PrometheusClient,
    PrometheusGauges,
    PrometheusHosts,
    PrometheusLevels,
    PrometheusLustre,
    PrometheusPower,
    PrometheusScheduler,
    PrometheusSeries,
    PrometheusUse,
)
from aggregator.sources.prometheus.catalogue import JOB_GAUGES, OWN, PROVIDERS, in_order
from aggregator.sources.prometheus.client import Endpoint
from aggregator.sources.replica import ReplicaReads, ReplicaState
from aggregator.sources.robinhood import Robinhood
from aggregator.sources.slurmacct import (
    SlurmAcct,
    SlurmDetails,
    SlurmHistory,
    SlurmReplica,
    SlurmUsage,
    SlurmUsers,
)

# A part of a site: its kind and its name.
Key = tuple[str, str]
CLUSTER: Final = "cluster"
FILESYSTEM: Final = "filesystem"
CLOUD: Final = "cloud"
ALLOCATIONS: Final = "allocations"
# What is read rarely is not stale after the time of what is read often.
STALE_INTERVALS = 3


class ReplicaSource(Source[Replication], ReplicaNotes, Protocol):
    """A replica for history: measured on the timer, and asked what answers must say of it."""


@dataclass(frozen=True, slots=True)
class LustreSources:
    """Who counts what jobs do on Lustre, and who names the uids of its clients."""

    use: Source[LustreUse]
    users: UserNames | None = None


@dataclass(frozen=True, slots=True)
class ClusterSources:
    """The sources of one cluster; use, power and lustre are None when their exporter is not configured.

    on_demand reads what the snapshot does not hold; with its roll-ups, decay tells how slurmctld lets usage fade.
    What `inputs` bring goes to the parts as it is; so does what the sources of other packages' parts bring, which are
    here by part. bases is who reads what resized jobs' counters showed before. replica is who measures where history
    is read. kinds has the hosts that are no compute nodes, names is the rule for the names of nodes. presence looks
    which series there are.
    """

    accounting: Source[Accounting]
    on_demand: Readers
    use: Source[Use] | None = None
    bases: BaseReader | None = None
    power: PowerSource | None = None
    lustre: LustreSources | None = None
    decay: Decay | None = None
    replica: ReplicaSource | None = None
    inputs: tuple[Source[object], ...] = ()
    parts: Sources = field(default_factory=dict)
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    names: NodeRule = field(default_factory=NodeRule)
    presence: Presence | None = None


@dataclass(frozen=True, slots=True)
class FilesystemSources:
    """The sources of one file system, read every `interval` seconds: Robinhood, quotas from Prometheus, or both."""

    usage: Source[FilesystemUsage] | None
    interval: float
    hsm: bool
    has_quotas: bool
    quotas: QuotaSources | None = None

    @property
    def series(self) -> SeriesReader | None:
        """Give who reads the graphs of its quotas."""
        return self.quotas.series if self.quotas else None


@dataclass(frozen=True, slots=True)
class Site:
    """Every source of the site."""

    clusters: Mapping[str, ClusterSources] = field(default_factory=dict)
    filesystems: Mapping[str, FilesystemSources] = field(default_factory=dict)
    allocations: Source[Allocations] | None = None
    clouds: Mapping[str, CloudSources] = field(default_factory=dict)


@asynccontextmanager
async def open_site(config: Config, part: Key | None = None) -> AsyncIterator[Site]:
    """Make every source that is configured, or those of one part, connecting to none; close them all in the end.

    Raises ConfigError for certificates that cannot be used.
    """

    def wanted(kind: str, name: str = "") -> bool:
        return part in (None, (kind, name))

    async with AsyncExitStack() as stack:
        allocations = config.allocations.file
        yield Site(
            {
                name: _open_cluster(stack, name, section, config)
                for name, section in config.clusters.items()
                if wanted(CLUSTER, name)
            },
            {
                name: _open_filesystem(stack, name, section, config)
                for name, section in config.filesystems.items()
                if wanted(FILESYSTEM, name) and is_read(section)
            },
            AllocationsFile(allocations) if allocations and wanted(ALLOCATIONS) else None,
            {
                name: open_cloud(
                    section,
                    _open_client(stack, f"cloud.{name}", section.prometheus, config),
                    max(config.refresh.stale_after, STALE_INTERVALS * section.interval),
                )
                for name, section in config.cloud.items()
                if wanted(CLOUD, name)
            },
        )


def _open_cluster(stack: AsyncExitStack, cluster: str, section: Cluster, config: Config) -> ClusterSources:
    key = f"clusters.{cluster}.slurmacct"
    database = _open_database(stack, key, section.slurmacct, config)
    own = _open_database(stack, key, section.slurmacct, config, pool_size=USAGE_CONNECTIONS)
    replica = _open_replica(stack, key, section.slurmacct, config)
    history, usage = (replica.before(primary) if replica else primary for primary in (database, own))
    retention, rule = config.refresh.ended_job_retention, section.nodes.rule
    accounting = SlurmAcct(cluster, database, key, retention, section.partitions.ignore, scripts=history, names=rule)
    measured = replica.measured_by(accounting, database) if replica else None
    sources = ClusterSources(
        accounting,
        Readers(
            accounting,
            history=SlurmHistory(accounting, history),
            details=SlurmDetails(accounting, history),
            usage=SlurmUsage(accounting, usage, key, section.slurmacct.timezone),
            replica=measured,
        ),
        decay=section.slurmacct.priority.to_model() if section.slurmacct.priority else None,
        replica=measured,
        kinds=section.nodes.kinds,
        names=rule,
    )
    users = SlurmUsers(accounting, history)
    return _with_exporters(stack, cluster, section, config, sources, users, accounting.numbers)


def _with_exporters(
    stack: AsyncExitStack,
    cluster: str,
    section: Cluster,
    config: Config,
    sources: ClusterSources,
    users: SlurmUsers,
    numbers: JobNumbers,
) -> ClusterSources:
    """Add what Prometheus has of the cluster, by the exporters that are in use."""
    exporters = section.exporters.in_use
    client = _open_client(stack, f"clusters.{cluster}", section.prometheus, config)
    nodes, matchers = NodeNames(**section.nodes.names()), section.prometheus.matchers
    names = {name: renamed(name, exporter.metrics) for name, exporter in exporters.items()}
    parts = sources_of_others(section.parts.in_use, lambda part: Lent(
        cluster=cluster, key=f"clusters.{cluster}.parts.{part}", prometheus=client, matchers=matchers, nodes=nodes,
        at_the_end=stack.push_async_callback,
    ))  # fmt: skip
    sources = replace(sources, presence=Presence(client, matchers, names, nodes), parts=parts)
    if not exporters:
        return sources
    settings = {name: settings_of(exporter) for name, exporter in exporters.items()}
    patience, first = config.refresh.stale_after, section.providers.first
    scraped = settings.get("slurm_job_exporter", ExporterSettings())
    # Scraped as often as the exporter at best, and never newer than our last refresh.
    ours = replace(scraped, interval=max(config.refresh.interval, scraped.interval))
    series = PrometheusSeries(client, matchers, {**settings, OWN: ours}, nodes, cluster)
    lustre = _open_lustre(client, section, settings, patience)
    sources = replace(
        sources,
        on_demand=replace(sources.on_demand, series=series),
        lustre=LustreSources(lustre, users) if lustre else None,
        inputs=tuple(_inputs(client, matchers, settings, nodes, patience, first.get("gpus", ()), numbers)),
    )
    if settings.keys() & PROVIDERS.keys():
        use = PrometheusUse(client, matchers, settings, nodes, patience=patience, first=first, numbers=numbers)
        sources = replace(sources, use=use, bases=use)
    if in_order("cpus", settings):
        known = _known_nodes(config.energy, nodes)
        power = PrometheusPower(client, matchers, settings, nodes, config.energy.window, known, first, numbers)
        sources = replace(sources, power=power)
    return sources


def _inputs(
    client: PrometheusClient,
    matchers: Mapping[str, str],
    settings: Mapping[str, ExporterSettings],
    nodes: NodeNames,
    patience: float,
    first_of_gpus: Sequence[str],
    numbers: JobNumbers,
) -> Iterator[Source[object]]:
    """Make what reads exporters and asks nothing else of the cluster."""
    if own := settings.get("slurm_exporter"):
        yield PrometheusLevels(client, matchers, own)
        yield PrometheusScheduler(client, matchers, own, nodes)
    if own := settings.get("node_exporter"):
        yield PrometheusHosts(client, matchers, own, nodes, patience=patience)
    if settings.keys() & JOB_GAUGES.keys():
        yield PrometheusGauges(
            client, matchers, settings, nodes, patience=patience, first=first_of_gpus, numbers=numbers
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Replica:
    """An open replica, and what is known of it."""

    key: str
    database: mysql.Database
    state: ReplicaState

    def before(self, primary: mysql.Database) -> ReplicaReads:
        """Put it before a primary."""
        return ReplicaReads(self.state, self.database, primary)

    def measured_by(self, accounting: SlurmAcct, primary: mysql.Database) -> SlurmReplica:
        """Make the source that measures it."""
        return SlurmReplica(accounting, self.key, replica=self.database, primary=primary, state=self.state)


def _open_replica(stack: AsyncExitStack, key: str, section: SlurmAcctSection, config: Config) -> _Replica | None:
    if section.replica is None:
        return None
    key = f"{key}.replica"
    database = _open_database(stack, key, section.of_replica(section.replica), config)
    return _Replica(key, database, ReplicaState(section.replica.max_lag))


def _open_lustre(
    client: PrometheusClient, section: Cluster, settings: Mapping[str, ExporterSettings], patience: float
) -> PrometheusLustre | None:
    """Make one source of both kinds of series: the proxy's settings go first, for its series have more labels."""
    proxied, plain = section.exporters.lustre_exporter_slurm, section.exporters.lustre_exporter
    used = settings.get("lustre_exporter_slurm", settings.get("lustre_exporter"))
    if used is None:
        return None
    names = [name for exporter in (proxied, plain) if exporter for name in exporter.jobid_names]
    return PrometheusLustre(client, section.prometheus.matchers, used, names, patience=patience)


def _known_nodes(energy: Energy, names: NodeRule) -> dict[str, NodeSize]:
    """Say what the node classes say of each node."""
    return {
        node: NodeSize(
            static_watts=section.idle_watts, cpus=section.cpus, memory_bytes=section.memory, gpus=section.gpus
        )
        for section in energy.node_classes.values()
        for node in names.each(section.nodes)
    }


def _open_filesystem(stack: AsyncExitStack, name: str, section: Filesystem, config: Config) -> FilesystemSources:
    key = f"filesystems.{name}.robinhood"
    usage = Robinhood(name, _open_database(stack, key, section.robinhood, config), key) if section.robinhood else None
    quotas = None
    if section.quota and section.cluster and _has_series(section):
        cluster = config.clusters[section.cluster]
        client = _open_client(stack, f"clusters.{section.cluster}", cluster.prometheus, config)
        patience = max(config.refresh.stale_after, STALE_INTERVALS * section.interval)
        quotas = open_quotas(name, section.quota, cluster, client, patience)
    # GPFS has limits of its own; who may see a group is in the file whatever the limits' source is.
    return FilesystemSources(usage, section.interval, section.hsm, section.quota is not None, quotas)


def is_read(section: Filesystem) -> bool:
    """Tell whether anything of a file system is read; else only its name is known."""
    return section.robinhood is not None or _has_series(section)


def _has_series(section: Filesystem) -> bool:
    return section.quota is not None and section.quota.source != "allocations"


def _open_client(stack: AsyncExitStack, key: str, section: Prometheus, config: Config) -> PrometheusClient:
    client = PrometheusClient(_endpoint(f"{key}.prometheus", section), config.refresh.max_concurrent_queries)
    stack.push_async_callback(client.close)
    return client


def _open_database(
    stack: AsyncExitStack,
    key: str,
    section: SlurmAcctSection | RobinhoodSection,
    config: Config,
    *,
    pool_size: int | None = None,
) -> mysql.Database:
    database = mysql.Database(
        mysql.Connection(
            key=key,
            host=section.host,
            port=section.port,
            user=section.user,
            password=lambda: _password(key, section),
            database=section.database,
            statement_timeout=section.statement_timeout,
            pool_size=pool_size or section.pool_size,
            tls=client_tls(f"{key}.tls", section.tls) if section.tls else None,
            connections=connections(config)[login_of(section)],
        )
    )
    stack.push_async_callback(database.close)
    return database


def _password(key: str, section: Database) -> str:
    """Read the password anew at each connection: the file may have been rotated."""
    try:
        return section.secret.get() if section.secret else ""
    except (OSError, UnicodeDecodeError) as error:
        raise FetchError(f"{key}.password_file: cannot be read: {error}") from error


def _endpoint(key: str, section: Prometheus) -> Endpoint:
    return Endpoint(
        key=key,
        url=section.url,
        timeout=section.timeout,
        headers=lambda: _headers(key, section),
        tls=client_tls(f"{key}.tls", section.tls) if section.tls else True,
    )


def _headers(key: str, section: Prometheus) -> Mapping[str, str]:
    """Make the request headers with the secrets as they are now."""
    headers = {name: secret.get() for name, secret in section.headers.items()}
    try:
        if section.bearer:
            headers["Authorization"] = f"Bearer {section.bearer.get()}"
        elif section.basic_auth:
            password = section.basic_auth.secret.get() if section.basic_auth.secret else ""
            credentials = f"{section.basic_auth.username}:{password}".encode()
            headers["Authorization"] = "Basic " + base64.b64encode(credentials).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise FetchError(f"{key}: the secret cannot be read: {error}") from error
    return headers
