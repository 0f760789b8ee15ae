"""One rule for the names of nodes: exporters say `node01:9798`, `Node01.cluster.example`, `node01-oob`; it is `node01`.

What Slurm says goes through the same rule: NodeName may have capitals, or a domain, that scrape targets do not have.
"""

import re
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

# A host, or an IPv6 address in brackets, and the port.
_WITH_PORT = re.compile(r"(?:\[([^\]]*:[^\]]*)\]|([^:]*))(?::[0-9]+)?")
# Names of hosts know no other letters; other ones are left as they are.
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


@dataclass(frozen=True, slots=True)
class NodeRule:
    """What is cut off a name, and which addresses are which nodes; capitals make no difference.

    An address that is not listed is its own name: nothing is cut off it but the port.
    """

    strip_port: bool = True
    strip_domain: bool = True
    bmc_suffix: str = "-oob"
    addresses: Mapping[str, str] = field(default_factory=dict, hash=False)

    def normalize(self, value: str) -> str:
        """Give the name of the node that a text means."""
        return _normalize(self, value)

    def each(self, names: Iterable[str]) -> tuple[str, ...]:
        """Give the nodes that some names mean, each once, in their order."""
        return tuple(dict.fromkeys(map(self.normalize, names)))


def folded(name: str) -> str:
    """Write a name without capitals."""
    return name.translate(_LOWER)


def without_port(value: str) -> str:
    """Cut the port off, and the brackets of an IPv6 address before it."""
    match = _WITH_PORT.fullmatch(value)
    return (match[1] or match[2]) if match else value


def is_address(host: str) -> bool:
    """Tell addresses from names: colons, or nothing but digits and dots."""
    return ":" in host or bool(host and not host.strip("0123456789."))


@lru_cache(maxsize=65_536)
def _normalize(rule: NodeRule, value: str) -> str:
    host = folded(without_port(value) if rule.strip_port else value)
    if host in rule.addresses:
        return folded(rule.addresses[host])
    if is_address(host):
        return host
    name = host.partition(".")[0] if rule.strip_domain else host
    return name.removesuffix(folded(rule.bmc_suffix))
