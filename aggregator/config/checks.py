"""Check what involves more than one key."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from aggregator.config.schema import Refresh
from aggregator.document.mistake import KeyPath
from aggregator.document.reading import Document
from aggregator.document.types import format_duration, parse_duration

Found = Iterator[tuple[KeyPath, str]]

_SOURCES: Final = ("clusters", "filesystems", "cloud")
EXCLUSIVE: Final = (
    ("password", "password_file"),
    ("bearer_token", "bearer_token_file"),
    ("jwks_file", "jwks_url"),
    ("client_secret", "client_secret_file"),
    ("basic_auth", "bearer_token"),
    ("basic_auth", "bearer_token_file"),
)
TOGETHER: Final = (
    ("per_kwh", "currency"),
    ("cpu_hour", "currency"),
    ("gpu_hour", "currency"),
    ("cooling_share", "per_kwh"),
    ("zone", "static_g_per_kwh"),
    ("cert_file", "key_file"),
    ("key_file", "cert_file"),
)


def check(document: Document) -> Iterable[tuple[KeyPath, str]]:
    """Find the keys that contradict or need each other.

    The plain data are read, not the validated sections, so that one mistake does not hide another.
    """
    return chain(
        _something_to_read(document),
        _keys_of_one_section(document),
        _stale_after(document),
        _state_password(document),
        _state_tls(document),
        _oidc(document),
        _filesystems(document),
        _clouds(document),
        _providers(document),
    )


def _something_to_read(document: Document) -> Found:
    root = document.section()
    if isinstance(document.data, dict) and not any(map(root.get, _SOURCES)):
        yield (), "nothing to read: configure clusters, filesystems or cloud"


def _keys_of_one_section(document: Document) -> Found:
    for path, mapping in document.mappings():
        for key, other in EXCLUSIVE:
            if key in mapping and other in mapping:
                yield (*path, other), f"{key} and {other} are both given, keep one"
        for key, needed in TOGETHER:
            if key in mapping and needed not in mapping:
                yield (*path, needed), f"required with {key}"


def _stale_after(document: Document) -> Found:
    refresh = document.section("refresh")
    interval = _seconds(refresh.get("interval"), Refresh().interval)
    stale_after = _seconds(refresh.get("stale_after"), Refresh().stale_after)
    if interval is not None and stale_after is not None and stale_after <= interval:
        path = ("refresh", "stale_after")
        default = f"the default {format_duration(stale_after)}"
        got = document.origins[path].quote if path in document.origins else default
        yield path, f"must be longer than refresh.interval ({format_duration(interval)}), got {got}"


def _seconds(value: object, default: float) -> float | None:
    if value is None:
        return default
    try:
        return parse_duration(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _state_password(document: Document) -> Found:
    state = document.section("state")
    url = str(state.get("url", ""))
    userinfo = url.partition("://")[2].rpartition("@")[0]
    for key in ("password", "password_file"):
        if key in state and ":" in userinfo:
            yield ("state", key), "state.url holds a password already, keep one"


def _state_tls(document: Document) -> Found:
    """Keep TLS from being asked for where it would not come about."""
    state = document.section("state")
    url = str(state.get("url", "sqlite:"))
    if "tls" in state and url.startswith("sqlite:"):
        yield ("state", "tls"), "state.url names a file, which needs no TLS"
    if url.startswith(("mysql:", "mariadb:")) and "ssl" in url.partition("?")[2]:
        yield ("state", "url"), "TLS is not set here: use state.tls"


def _oidc(document: Document) -> Found:
    if "oidc" in document.section("auth") and "external_url" not in document.section("server"):
        yield ("auth", "oidc"), "needs server.external_url, to which the issuer sends browsers back"


def _filesystems(document: Document) -> Found:
    for name in document.section("filesystems"):
        yield from _filesystem_cluster(document, name)
        yield from _quota_source(document, name)


def _filesystem_cluster(document: Document, name: str) -> Found:
    path = ("filesystems", name, "cluster")
    cluster = document.section(*path[:-1]).get("cluster")
    clusters = document.section("clusters")
    if isinstance(cluster, str) and cluster not in clusters:
        known = ", ".join(clusters) or "there is none"
        yield path, f"must be a configured cluster ({known}), got {document.origins[path].quote}"


def _quota_source(document: Document, name: str) -> Found:
    path = ("filesystems", name)
    source = document.section(*path, "quota").get("source")
    if source == "allocations" and "file" not in document.section("allocations"):
        yield (*path, "quota", "source"), '"allocations" needs allocations.file'
    if source in ("lfs_quota", "gpfs") and "cluster" not in document.section(*path):
        yield (*path, "cluster"), f'required with quota.source "{source}"'
    if source == "lfs_quota":
        yield from _lfs_quota(document, (*path, "quota"))


def _lfs_quota(document: Document, path: tuple[str, ...]) -> Found:
    quota = document.section(*path)
    if "path" not in quota:
        yield (*path, "path"), 'required with source "lfs_quota"'
    if quota.get("of") == "fileset":
        yield (*path, "of"), '"fileset" needs source "gpfs"'


def _clouds(document: Document) -> Found:
    for name in document.section("cloud").keys() & document.section("clusters").keys():
        yield ("cloud", name), "is the name of a cluster too: their metrics could not be told apart"


def _providers(document: Document) -> Found:
    """Find exporters that are to be believed first and are not in use."""
    for cluster in document.section("clusters"):
        exporters, path = document.section("clusters", cluster, "exporters"), ("clusters", cluster, "providers")
        for kind, said in document.section(*path).items():
            names = said if isinstance(said, list) else [said]
            for name in (each for each in names if isinstance(each, str) and each not in exporters):
                yield (*path, kind), f"{name} is not among the exporters of the cluster"
