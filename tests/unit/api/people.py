"""The commands for people, run against the API of a test."""

import asyncio
from pathlib import Path

import pytest

from aggregator.cli import main

from .conftest import Service


async def run(service: Service, *arguments: str) -> int:
    """Run a command against the API, which answers meanwhile."""
    assert service.client is not None
    url = str(service.client.make_url("/")).rstrip("/")
    return await asyncio.to_thread(main, [*arguments, f"--url={url}"])


def unset(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let a command find no settings, and a terminal of UTF-8 with 80 columns."""
    for name in ("URL", "TOKEN", "TOKEN_FILE", "CLUSTER", "CA_FILE"):
        monkeypatch.delenv(f"HPC_AGGREGATOR_{name}", raising=False)
    monkeypatch.delenv("SLURM_CLUSTER_NAME", raising=False)
    for name, value in {"XDG_CONFIG_HOME": str(folder), "COLUMNS": "80", "PYTHONUTF8": "1", "no_proxy": "*"}.items():
        monkeypatch.setenv(name, value)
