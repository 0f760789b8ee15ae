"""
A real stack on one machine: MariaDB, Slurm, exporter simulators and Prometheus.

The tests' fixtures and ``make lab`` start the same :class:`Lab`.
"""

from tests.lab.process import DaemonError, wait_until
from tests.lab.stack import Lab

__all__ = ["DaemonError", "Lab", "wait_until"]
