"""Read the configuration file strictly, and say every mistake with its line."""

from aggregator.config.auth import SHORTEST_SECRET, Auth, Jwt, Oidc, Staff, Tokens, TrustedProxy
from aggregator.config.changes import changed_keys, needs_restart
from aggregator.config.cloud import Cloud, Idle
from aggregator.config.connection import BasicAuth, Database, Prometheus, Replica, Robinhood, SlurmAcct, Tls
from aggregator.config.contents import digests
from aggregator.config.energy import Co2, Energy, NodeClass, Tariff
from aggregator.config.exporter import Exporter, Exporters, SlowExporter
from aggregator.config.installed import InstalledPart, installed_parts
from aggregator.config.loader import load, parse
from aggregator.config.nodes import Nodes
from aggregator.config.schema import (
    Allocations,
    Bounds,
    Cluster,
    Config,
    Filesystem,
    Limits,
    Log,
    Partitions,
    Quota,
    Refresh,
    SeriesLimits,
    Server,
    State,
    Waste,
)
from aggregator.config.waste import active_rules, load_rules
from aggregator.config.web import WebConfig, load_web
from aggregator.document.mistake import ConfigError, Mistake
from aggregator.document.secrets import DatabaseUrl, Secret, SecretFile, SecretSource
from aggregator.document.section import Section
from aggregator.document.types import ListenAddress, format_duration, format_size, parse_duration, parse_size

__all__ = [
    "SHORTEST_SECRET",
    "Allocations",
    "Auth",
    "BasicAuth",
    "Bounds",
    "Cloud",
    "Cluster",
    "Co2",
    "Config",
    "ConfigError",
    "Database",
    "DatabaseUrl",
    "Energy",
    "Exporter",
    "Exporters",
    "Filesystem",
    "Idle",
    "InstalledPart",
    "Jwt",
    "Limits",
    "ListenAddress",
    "Log",
    "Mistake",
    "NodeClass",
    "Nodes",
    "Oidc",
    "Partitions",
    "Prometheus",
    "Quota",
    "Refresh",
    "Replica",
    "Robinhood",
    "Secret",
    "SecretFile",
    "SecretSource",
    "Section",
    "SeriesLimits",
    "Server",
    "SlowExporter",
    "SlurmAcct",
    "Staff",
    "State",
    "Tariff",
    "Tls",
    "Tokens",
    "TrustedProxy",
    "Waste",
    "WebConfig",
    "active_rules",
    "changed_keys",
    "digests",
    "format_duration",
    "format_size",
    "installed_parts",
    "load",
    "load_rules",
    "load_web",
    "needs_restart",
    "parse",
    "parse_duration",
    "parse_size",
]
