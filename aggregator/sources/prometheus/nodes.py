"""One rule for node names: exporters say `node01:9798`, `node01.cluster.example`, `node01-oob`; Slurm says `node01`."""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from aggregator.sources.prometheus.client import Matcher


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

    def matcher(self, nodes: Iterable[str]) -> Matcher:
        """Match every label value that means one of these nodes."""
        names = "|".join(re.escape(node) for node in nodes)
        bmc = f"({re.escape(self.bmc_suffix)})?" if self.bmc_suffix else ""
        domain = r"(\.[^:]*)?" if self.strip_domain else ""
        port = "(:[0-9]+)?" if self.strip_port else ""
        return (self.label, "=~", f"({names}){bmc}{domain}{port}")


def one_of(label: str, values: Sequence[str]) -> Matcher:
    """Match exactly these values of a label."""
    return (label, "=", values[0]) if len(values) == 1 else (label, "=~", "|".join(map(re.escape, values)))


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
