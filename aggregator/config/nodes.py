"""Declare how scrape targets are named."""

from typing import Any

from pydantic import Field

from aggregator.config.energy import OptionalHostlist
from aggregator.document.section import Section
from aggregator.document.types import IpAddress, LabelName, Text
from aggregator.model.node import Kind
from aggregator.model.nodename import NodeRule


class Nodes(Section):
    """Turn the names of scrape targets into Slurm's node names."""

    label: LabelName = "instance"
    strip_port: bool = True
    strip_domain: bool = True
    bmc_suffix: str = "-oob"
    addresses: dict[IpAddress, Text] = Field(default_factory=dict)
    login_nodes: OptionalHostlist = ()
    transfer_nodes: OptionalHostlist = ()

    def names(self) -> dict[str, Any]:
        """Give the rule for names by its fields."""
        return self.model_dump(include={"label", "strip_port", "strip_domain", "bmc_suffix", "addresses"})

    @property
    def rule(self) -> NodeRule:
        """Give the rule that the names of nodes go through, whoever says them."""
        return NodeRule(self.strip_port, self.strip_domain, self.bmc_suffix, self.addresses)

    @property
    def kinds(self) -> dict[str, Kind]:
        """Give the hosts that are no compute nodes, by name."""
        logins: dict[str, Kind] = dict.fromkeys(self.rule.each(self.login_nodes), "login")
        return {**dict.fromkeys(self.rule.each(self.transfer_nodes), "transfer"), **logins}
