"""Agent that collects job scripts beside slurmctld and sends them to the aggregator."""

__version__ = "0.1.0"
