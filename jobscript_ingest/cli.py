"""The command `hpc-jobscript-ingest`."""

import argparse
from collections.abc import Sequence

import jobscript_ingest


def main(arguments: Sequence[str] | None = None) -> int:
    """Say the version, or the help; collecting scripts comes with a later version."""
    parser = argparse.ArgumentParser(
        prog="hpc-jobscript-ingest",
        description="Collect job scripts beside slurmctld and send them to hpc-aggregator. "
        "This version does not collect yet: it has its name, its version and this help.",
    )
    parser.add_argument("--version", action="version", version=f"hpc-jobscript-ingest {jobscript_ingest.__version__}")
    parser.parse_args(arguments)
    parser.print_help()
    return 0
