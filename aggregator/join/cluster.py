"""What is one cluster's snapshot besides its frames, given what its sources know?"""

from collections.abc import Mapping
from dataclasses import replace

from aggregator.join.limits import join_limits
from aggregator.model.accounting import Accounting
from aggregator.model.nodename import NodeRule
from aggregator.model.storage import Award
from aggregator.model.usage import UsageView
from aggregator.model.use import Use
from aggregator.model.view import ClusterView

_RULE = NodeRule()


def join_cluster(
    cluster: str,
    at: float,
    accounting: Accounting | None,
    use: Use | None,
    *,
    awards: Mapping[str, Award],
    usage: UsageView | None = None,
    levels: Mapping[str, float] | None = None,
    names: NodeRule = _RULE,
) -> ClusterView:
    """Join what is not in frames yet; without accounting there are no jobs to speak of.

    `levels` are the accounts' fair shares as slurmctld says them (level_fs). `names` is the rule for the names of
    nodes, by which all that is given is named already.
    """
    bare = ClusterView(cluster=cluster, time=at, awards=awards, usage=usage, names=names)
    if accounting is None:
        return bare
    runs = accounting.runs
    return replace(
        bare,
        runs={run.run_id: run for run in runs},
        tree=accounting.accounts,
        members=accounting.members,
        limits=join_limits(accounting.associations, runs, at, usage.raw if usage else None, levels or {}),
        warnings=accounting.missing,
    )
