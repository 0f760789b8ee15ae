"""One rule for node names: exporters say `node01:9798`, `node01.cluster.example`, `node01-oob`; Slurm says `node01`."""

import ipaddress
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class NodeNames:
    """The site's rule: which label carries the node, and what is cut off its value."""

    label: str = "instance"
    strip_port: bool = True
    strip_domain: bool = True
    bmc_suffix: str = "-oob"

    def normalize(self, value: str) -> str:
        """Give Slurm's name of the node that a label value means."""
        return _normalize(self, value)


@lru_cache(maxsize=65_536)
def _normalize(rule: NodeNames, value: str) -> str:
    host = _without_port(value) if rule.strip_port else value
    if rule.strip_domain and not _is_address(host):
        host = host.partition(".")[0]
    return host.removesuffix(rule.bmc_suffix) if rule.bmc_suffix else host


def _without_port(value: str) -> str:
    if value.startswith("["):
        return value[1:].partition("]")[0]
    host, separator, port = value.rpartition(":")
    return host if separator and port.isdecimal() and ":" not in host else value


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
