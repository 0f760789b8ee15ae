"""Match the label values that mean a node: model/nodename.py has the rule for their names."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from aggregator.model.nodename import NodeRule, folded, is_address, without_port
from aggregator.sources.prometheus.promql import Matcher

_PORT = "(:[0-9]+)?"
# RE2 cannot say "unless it is an IPv4 address": a domain behind digits has something else than digits.
_DOMAIN, _NAMED_DOMAIN = r"(\.[^:]*)?", r"\.[^:]*[^0-9.:][^:]*"
_NOTHING = "$.^"
_ANY_CASE = "(?i)"


@dataclass(frozen=True, slots=True)
class NodeNames(NodeRule):
    """The site's rule, and which label carries the node."""

    label: str = "instance"

    def of_labels(self, labels: Mapping[str, str]) -> str:
        """Give the name of the node of a series; "" where it has none."""
        return self.normalize(labels.get(self.label, ""))

    def matcher(self, nodes: Iterable[str]) -> Matcher:
        """Match the label values that mean one of these nodes, and no other."""
        alternatives = list(self._alternatives(tuple(map(folded, nodes))))
        return (self.label, "=~", _ANY_CASE + "|".join(alternatives) if alternatives else _NOTHING)

    def capture(self, nodes: Iterable[str]) -> str:
        """Write the pattern of label values that hold the name of one of these nodes, which is its first group."""
        pattern = self._named(tuple(map(folded, nodes)))
        return pattern if pattern == _NOTHING else _ANY_CASE + pattern

    def _named(self, nodes: tuple[str, ...]) -> str:
        names = [re.escape(node) for node in nodes if self._is_plain(node)]
        if not names:
            return _NOTHING
        bmc = f"({re.escape(self._suffix)})?" if self._suffix else ""
        domain = _DOMAIN if self.strip_domain else ""
        return f"({'|'.join(names)}){bmc}{domain}{self._port}"

    def _alternatives(self, nodes: tuple[str, ...]) -> Iterator[str]:
        named = self._named(nodes)
        if named != _NOTHING:
            yield named
        for node in nodes:
            for host in (host for host, known in self.addresses.items() if folded(known) == node):
                yield from self._forms(host)
            if not self._is_plain(node):
                yield from self._odd(node)

    def _is_plain(self, node: str) -> bool:
        """Tell whether the name may stand alone, with the suffix and with a domain; nearly every name may."""
        has_suffix = self._suffix and node.endswith(self._suffix)
        return not is_address(node) and bool(node) and not has_suffix and not ("." in node and self.strip_domain)

    def _odd(self, node: str) -> Iterator[str]:
        """Match the forms of a name that is an address, nothing but digits, or ends with the suffix itself."""
        if is_address(node) and node not in self.addresses:
            yield from self._forms(node)
        for base in dict.fromkeys((node, node + self._suffix)):
            if base.removesuffix(self._suffix) == node and ":" not in base:
                yield from self._with_domains(base)

    def _with_domains(self, base: str) -> Iterator[str]:
        """Match a name that is not an address, alone and with the domains that do not make it one."""
        is_digits = not base.strip("0123456789")
        if "." in base and self.strip_domain:
            return
        if not is_address(base):
            yield f"{re.escape(base)}{self._port}"
        if self.strip_domain:
            yield f"{re.escape(base)}{_NAMED_DOMAIN if is_digits else _DOMAIN}{self._port}"

    def _forms(self, host: str) -> Iterator[str]:
        """Match an address, which has brackets before a port where it has colons itself."""
        if ":" not in host:
            yield f"{re.escape(host)}{self._port}"
            return
        if not self.strip_port or without_port(host) == host:
            yield re.escape(host)
        if self.strip_port and "]" not in host:
            yield f"\\[{re.escape(host)}\\]{self._port}"

    @property
    def _suffix(self) -> str:
        return folded(self.bmc_suffix)

    @property
    def _port(self) -> str:
        return _PORT if self.strip_port else ""


def one_of(label: str, values: Sequence[str]) -> Matcher:
    """Match exactly these values of a label."""
    return (label, "=", values[0]) if len(values) == 1 else (label, "=~", "|".join(map(re.escape, values)))
