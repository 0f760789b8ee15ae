"""Inputs from prometheus-slurm-exporter (branch osc and what follows it): what slurmctld itself says, by `sshare`.

Only accounts right below the root have a level; one that has used nothing has +Inf.
"""

from aggregator.sources.prometheus.inputs import Input

LEVELS = Input(
    name="account_levelfs",
    metric="slurm_account_levelfs",
    expression="max by ($account) ($series)",
)
# A collector that failed or was too late has exported zeros.
ERRORS = (
    Input(
        name="collect_error",
        metric="slurm_exporter_collect_error",
        expression="max by (collector) ($series)",
    ),
    Input(
        name="collect_timeout",
        metric="slurm_exporter_collect_timeout",
        expression="max by (collector) ($series)",
    ),
)
# By which names collectors of fair share go; osc has none of them: there the exporter ends when sshare fails.
FAIRSHARE_COLLECTORS = frozenset({"sshare", "fairshare", "account", "accounts"})
