"""A StateSaveLocation as slurmctld makes it, and the parts of an agent over it."""

import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from aggregator.config import ListenAddress, SecretFile
from jobscript_ingest.collect import Collector
from jobscript_ingest.location import StateSaveLocation
from jobscript_ingest.metrics import AgentMetrics
from jobscript_ingest.redact import Rule
from jobscript_ingest.rules import load_rules
from jobscript_ingest.script import Script
from jobscript_ingest.settings import BackOff, Reading, Settings, SpoolSettings, Target
from jobscript_ingest.spool import Spool

TEXT = b"#!/bin/bash\nhostname\n"


class FakeSlurmctld:
    """Write and purge job folders as slurmctld does; the files are real."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def folder(self, job_id: int) -> Path:
        return self.root / f"hash.{job_id % 10}" / f"job.{job_id}"

    def begin(self, job_id: int, text: bytes = b"") -> Path:
        """Make the job's folder and write what of the script is written so far."""
        folder = self.folder(job_id)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / "environment").write_bytes(b"\x01\0\0\0A=b\0")
        (folder / "script").write_bytes(text)
        return folder / "script"

    def submit(self, job_id: int, text: bytes = TEXT) -> Path:
        """Write a whole script with its trailing NUL."""
        return self.begin(job_id, text + b"\0")

    def submit_sparse(self, job_id: int, size: int) -> Path:
        """Write a script of `size` bytes that takes no space: "x" where it is written, then NULs, then "x"."""
        file = self.begin(job_id, b"#!/bin/bash\n" + b"x" * 5_000_000)
        os.truncate(file, size + 1)
        return file

    def purge(self, job_id: int) -> None:
        shutil.rmtree(self.folder(job_id))


def make_script(job_id: int = 1, content: bytes = TEXT, **changes: Any) -> Script:
    sha256 = hashlib.sha256(content).hexdigest()
    return replace(Script(job_id, 1_700_000_000.5, content, sha256, len(content), False, 0), **changes)


def make_settings(folder: Path, url: str = "http://127.0.0.1:9", **spool: Any) -> Settings:
    token = folder / "token"
    token.write_text("s3cret-token\n")
    token.chmod(0o400)
    return Settings(
        Reading(folder / "state", scan_interval=0.2),
        Target("narval", url, SecretFile(token), back_off=BackOff(0.01, 0.02)),
        SpoolSettings(folder / "spool" / "spool.db", **spool),
        ListenAddress("127.0.0.1", 0),
    )


def make_collector(
    slurm: FakeSlurmctld,
    spool: Spool,
    metrics: AgentMetrics,
    rules: tuple[Rule, ...] | None = None,
    max_bytes: int = 2**22,
) -> Collector:
    return Collector(
        StateSaveLocation(slurm.root), load_rules() if rules is None else rules, spool, metrics, max_bytes=max_bytes
    )


def value(metrics: AgentMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"hpc_jobscript_ingest_{name}", labels)
