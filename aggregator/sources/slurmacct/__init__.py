"""slurmacct, the database of slurmdbd: runs, associations, TRES, QOS."""

from aggregator.sources.slurmacct.details import SlurmDetails
from aggregator.sources.slurmacct.history import SlurmHistory
from aggregator.sources.slurmacct.replica import SlurmReplica
from aggregator.sources.slurmacct.source import SlurmAcct
from aggregator.sources.slurmacct.usage import SlurmUsage
from aggregator.sources.slurmacct.users import SlurmUsers

__all__ = ["SlurmAcct", "SlurmDetails", "SlurmHistory", "SlurmReplica", "SlurmUsage", "SlurmUsers"]
