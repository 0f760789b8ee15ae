"""One rule for node names: exporters say `node01:9798`, `node01.cluster.example`, `node01-oob`; Slurm says `node01`."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from aggregator.sources.prometheus.client import Matcher

# A host, or an IPv6 address in brackets, and the port.
_WITH_PORT = re.compile(r"(?:\[([^\]]*:[^\]]*)\]|([^:]*))(?::[0-9]+)?")
_PORT = "(:[0-9]+)?"
# RE2 cannot say "unless it is an IPv4 address": a domain behind digits has something else than digits.
_DOMAIN, _NAMED_DOMAIN = r"(\.[^:]*)?", r"\.[^:]*[^0-9.:][^:]*"
_NOTHING = "$.^"


@dataclass(frozen=True, slots=True)
class NodeNames:
    """The site's rule: which label carries the node, what is cut off its value, and which addresses are which nodes.

    An address that is not listed is its own name: nothing is cut off it but the port.
    """

    label: str = "instance"
    strip_port: bool = True
    strip_domain: bool = True
    bmc_suffix: str = "-oob"
    addresses: Mapping[str, str] = field(default_factory=dict, hash=False)

    def normalize(self, value: str) -> str:
        """Give Slurm's name of the node that a label value means."""
        return _normalize(self, value)

    def of_labels(self, labels: Mapping[str, str]) -> str:
        """Give Slurm's name of the node of a series."""
        return self.normalize(labels.get(self.label, ""))

    def matcher(self, nodes: Iterable[str]) -> Matcher:
        """Match the label values that mean one of these nodes, and no other."""
        alternatives = list(self._alternatives(tuple(nodes)))
        return (self.label, "=~", "|".join(alternatives) if alternatives else _NOTHING)

    def capture(self, nodes: Iterable[str]) -> str:
        """Write the pattern of label values that hold the name of one of these nodes, which is its first group."""
        names = [re.escape(node) for node in nodes if self._is_plain(node)]
        if not names:
            return _NOTHING
        bmc = f"({re.escape(self.bmc_suffix)})?" if self.bmc_suffix else ""
        domain = _DOMAIN if self.strip_domain else ""
        return f"({'|'.join(names)}){bmc}{domain}{self._port}"

    def _alternatives(self, nodes: tuple[str, ...]) -> Iterator[str]:
        named = self.capture(nodes)
        if named != _NOTHING:
            yield named
        for node in nodes:
            for host in (host for host, known in self.addresses.items() if known == node):
                yield from self._forms(host)
            if not self._is_plain(node):
                yield from self._odd(node)

    def _is_plain(self, node: str) -> bool:
        """Tell whether the name may stand alone, with the suffix and with a domain; nearly every name may."""
        has_suffix = self.bmc_suffix and node.endswith(self.bmc_suffix)
        return not _is_address(node) and bool(node) and not has_suffix and not ("." in node and self.strip_domain)

    def _odd(self, node: str) -> Iterator[str]:
        """Match the forms of a name that is an address, nothing but digits, or ends with the suffix itself."""
        if _is_address(node) and node not in self.addresses:
            yield from self._forms(node)
        for base in dict.fromkeys((node, node + self.bmc_suffix)):
            if base.removesuffix(self.bmc_suffix) == node and ":" not in base:
                yield from self._with_domains(base)

    def _with_domains(self, base: str) -> Iterator[str]:
        """Match a name that is not an address, alone and with the domains that do not make it one."""
        is_digits = not base.strip("0123456789")
        if "." in base and self.strip_domain:
            return
        if not _is_address(base):
            yield f"{re.escape(base)}{self._port}"
        if self.strip_domain:
            yield f"{re.escape(base)}{_NAMED_DOMAIN if is_digits else _DOMAIN}{self._port}"

    def _forms(self, host: str) -> Iterator[str]:
        """Match an address, which has brackets before a port where it has colons itself."""
        if ":" not in host:
            yield f"{re.escape(host)}{self._port}"
            return
        if not self.strip_port or _without_port(host) == host:
            yield re.escape(host)
        if self.strip_port and "]" not in host:
            yield f"\\[{re.escape(host)}\\]{self._port}"

    @property
    def _port(self) -> str:
        return _PORT if self.strip_port else ""


def one_of(label: str, values: Sequence[str]) -> Matcher:
    """Match exactly these values of a label."""
    return (label, "=", values[0]) if len(values) == 1 else (label, "=~", "|".join(map(re.escape, values)))


@lru_cache(maxsize=65_536)
def _normalize(rule: NodeNames, value: str) -> str:
    host = _without_port(value) if rule.strip_port else value
    if host in rule.addresses:
        return rule.addresses[host]
    if _is_address(host):
        return host
    name = host.partition(".")[0] if rule.strip_domain else host
    return name.removesuffix(rule.bmc_suffix)


def _without_port(value: str) -> str:
    match = _WITH_PORT.fullmatch(value)
    return (match[1] or match[2]) if match else value


def _is_address(host: str) -> bool:
    """Tell addresses from names: colons, or nothing but digits and dots."""
    return ":" in host or bool(host and not host.strip("0123456789."))
