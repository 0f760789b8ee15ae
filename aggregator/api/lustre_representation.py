"""How input and output on Lustre looks in JSON."""

from collections.abc import Mapping
from typing import Final

from aggregator.api.representation import Json, value
from aggregator.model.lustre import JobLustre, LustreIo, LustreSums
from aggregator.sources.prometheus.provenance import LUSTRE

_BYTES: Final = "bytes per second"
_SOURCES: Final = {name: each.text() for name, each in LUSTRE.items()}


def job_lustre_json(lustre: JobLustre | None) -> Json | None:
    """Show one run's rates by file system; null where they are not known."""
    return _filesystems_json(lustre.filesystems, lustre.coverage) if lustre else None


def sums_lustre_json(sums: LustreSums | None) -> Json | None:
    """Show the rates of a user or an account by file system; null where there are none."""
    return _filesystems_json(sums.filesystems, None) if sums else None


def _filesystems_json(filesystems: Mapping[str, LustreIo], coverage: float | None) -> Json:
    return {name: _io_json(rates, coverage) for name, rates in sorted(filesystems.items())}


def _io_json(rates: LustreIo, coverage: float | None) -> Json:
    return {
        "read": value(rates.read, _BYTES, coverage, _SOURCES["read"]),
        "write": value(rates.write, _BYTES, coverage, _SOURCES["write"]),
        "metadata": value(rates.metadata, "operations per second", coverage, _SOURCES["metadata"]),
    }
