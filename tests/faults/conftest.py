"""Faults are provoked on the running service, in front of the servers of the scenarios."""

from tests.scenarios.conftest import *  # noqa: F403
