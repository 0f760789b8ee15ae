"""slurmacct, the database of slurmdbd: runs, associations, TRES, QOS."""

from aggregator.sources.slurmacct.source import SlurmAcct

__all__ = ["SlurmAcct"]
