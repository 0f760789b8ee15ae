"""How input and output on Lustre looks in JSON."""

from collections.abc import Iterable
from typing import Final

from aggregator.api.representation import Json, Row, value
from aggregator.sources.prometheus.provenance import LUSTRE

_BYTES: Final = "bytes per second"
_SOURCES: Final = {name: each.text() for name, each in LUSTRE.items()}


def lustre_json(rows: Iterable[Row]) -> Json:
    """Show somebody's rates by file system: rows of `job_lustre`, `user_lustre` or `account_lustre`."""
    return {row["filesystem"]: _rates_json(row) for row in rows}


def _rates_json(row: Row) -> Json:
    coverage = row.get("coverage_ratio")
    return {
        "read": value(row["read_bytes_per_second"], _BYTES, coverage, _SOURCES["read"]),
        "write": value(row["write_bytes_per_second"], _BYTES, coverage, _SOURCES["write"]),
        "metadata": value(
            row["metadata_operations_per_second"], "operations per second", coverage, _SOURCES["metadata"]
        ),
    }
