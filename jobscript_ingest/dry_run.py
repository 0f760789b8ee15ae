"""`--dry-run`: say what would be sent, without sending, spooling or showing any of it."""

from collections.abc import Iterator

from jobscript_ingest.location import Incomplete, StateSaveLocation, Unreadable
from jobscript_ingest.redact import MARGIN_BYTES, Redacted, Rule, redact
from jobscript_ingest.script import RawScript


def describe(location: StateSaveLocation, rules: tuple[Rule, ...], max_bytes: int) -> Iterator[str]:
    """Give a line for each script that there is.

    Raises OSError when the location cannot be read.
    """
    for folder in sorted(location.folders()):
        for job_id, _ in sorted(location.versions(folder), key=lambda found: found[0]):
            try:
                raw = location.read(job_id, max_bytes + MARGIN_BYTES)
            except Incomplete:
                yield f"job {job_id}: not complete yet"
            except Unreadable as error:
                yield f"job {job_id}: {error}"
            else:
                if raw is not None:
                    yield _line(raw, redact(raw.head, rules, max_bytes), max_bytes)


def _line(raw: RawScript, redacted: Redacted, max_bytes: int) -> str:
    cut = f", cut at {max_bytes}" if raw.size > max_bytes else ""
    by_rule = " ".join(f"{rule}={count}" for rule, count in sorted(redacted.counts.items()))
    return f"job {raw.job_id}: {raw.size} bytes{cut}, {redacted.total} redactions{': ' if by_rule else ''}{by_rule}"
