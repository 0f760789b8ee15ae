"""Find what is accepted but deserves attention."""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

from pydantic import BaseModel

from aggregator.config.connection import Tls
from aggregator.config.exporter import Exporters
from aggregator.config.schema import Config
from aggregator.document.mistake import KeyPath, format_path
from aggregator.document.secrets import SecretFile

ENERGY_EXPORTERS: Final = frozenset({"redfish_exporter", "dcgm_exporter", "nvidia_gpu_exporter"})


def find_warnings(config: Config) -> tuple[str, ...]:
    """Give one line for each section without effect, each secret that all may read, and each open connection."""
    return (
        *_useless_exporters(config),
        *_misplaced_exporters(config),
        *_readable_secrets(config),
        *_in_clear_text(config),
        *_open_metrics(config),
        *_open_tokens(config),
    )


def _useless_exporters(config: Config) -> Iterator[str]:
    """Name the exporters of energy where there is no use of jobs to share it by.

    It may come from slurm_job_exporter, and from those that are declared by their files alone.
    """
    for name, cluster in config.clusters.items():
        used = cluster.exporters.in_use.keys()
        if used <= Exporters.model_fields.keys() - {"slurm_job_exporter"}:
            for exporter in sorted(used & ENERGY_EXPORTERS):
                yield f"clusters.{name}.exporters.{exporter}: no energy without slurm_job_exporter, or another of jobs"


def _misplaced_exporters(config: Config) -> Iterator[str]:
    """Name the exporter of clouds where it is said of a cluster."""
    for name, cluster in config.clusters.items():
        if cluster.exporters.libvirtd_exporter is not None:
            yield f"clusters.{name}.exporters.libvirtd_exporter: not used here, a cloud has a section of its own: cloud"


def _open_metrics(config: Config) -> Iterator[str]:
    """Say what an open /metrics shows."""
    if config.auth and "metrics" in config.auth.anonymous:
        yield (
            "auth.anonymous: metrics: everybody who reaches the address can read the names of all users and jobs; "
            "give Prometheus a token of the scope metrics instead"
        )


def _open_tokens(config: Config) -> Iterator[str]:
    """Say what others may do to the file of tokens; whoever can change it, can let everybody in."""
    file = config.auth.tokens.file if config.auth and config.auth.tokens else None
    if file is None:
        return
    try:
        mode = file.stat().st_mode
    except OSError:
        # What cannot be read is told where it is read.
        return
    can = " and ".join(what for what, bit in (("read", 0o004), ("change", 0o002)) if mode & bit)
    if can:
        yield f"auth.tokens.file: every user of this machine can {can} {file}: chmod 0600"


def _readable_secrets(config: Config) -> Iterator[str]:
    for path, source in _secret_files(config):
        if source.is_world_readable:
            yield f"{format_path(path)}: every user of this machine can read {source}"


def _secret_files(value: object, path: KeyPath = ()) -> Iterator[tuple[KeyPath, SecretFile]]:
    if isinstance(value, SecretFile):
        yield path, value
        return
    items: Iterable[tuple[str, object]] = ()
    if isinstance(value, BaseModel):
        items = value
    elif isinstance(value, Mapping):
        items = value.items()
    for key, item in items:
        yield from _secret_files(item, (*path, key))


def _in_clear_text(config: Config) -> Iterator[str]:
    """Name the databases on other machines that are read without TLS."""
    for path, host, tls in _databases(config):
        if tls is None and not _is_here(host):
            seen = "what is read can be seen, and changed, on the way"
            yield f"{path}: {host} is another machine and tls is not set: {seen}"


def _databases(config: Config) -> Iterator[tuple[str, str, Tls | None]]:
    for name, cluster in config.clusters.items():
        section, key = cluster.slurmacct, f"clusters.{name}.slurmacct"
        yield key, section.host, section.tls
        if section.replica:
            copy = section.of_replica(section.replica)
            yield f"{key}.replica", copy.host, copy.tls
    for name, filesystem in config.filesystems.items():
        if robinhood := filesystem.robinhood:
            yield f"filesystems.{name}.robinhood", robinhood.host, robinhood.tls
    if config.state.url.scheme in ("mysql", "mariadb"):
        yield "state", urlsplit(config.state.url.get()).hostname or "", config.state.tls


def _is_here(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    return host == "localhost"
