"""
A real stack on one machine: MariaDB, Slurm, exporter simulators and Prometheus.

The tests' fixtures and ``make lab`` start the same :class:`Lab`.
"""

from tests.lab.process import DaemonError, wait_until


__all__ = ["DaemonError", "wait_until"]
