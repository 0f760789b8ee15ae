"""The tables of the service's own state."""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Double,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator

NAME_LENGTH = 255
# Enough for 2^64 − 1.
RUN_ID_DIGITS = 20


class RunId(TypeDecorator[int]):
    """A number of 64 unsigned bits as 20 digits.

    SQLite and PostgreSQL have no unsigned type, and SQLite rounds a NUMERIC beyond 2^63 to a double. Padded with
    zeros, the text sorts as the number does.
    """

    impl = String(RUN_ID_DIGITS)
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> str | None:
        """Write the number's digits."""
        return None if value is None else f"{value:0{RUN_ID_DIGITS}d}"

    def process_result_value(self, value: str | None, dialect: Dialect) -> int | None:
        """Read the number."""
        return None if value is None else int(value)


class Name(TypeDecorator[str]):
    """Text that somebody else chose, made storable: one hostile name must not make a whole batch fail.

    PostgreSQL has no NUL, no database lone surrogates, and MariaDB refuses what is too long.
    """

    impl = String(NAME_LENGTH)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Make it storable."""
        return None if value is None else storable(value)


def storable(name: str) -> str:
    """Replace what cannot be stored, and cut to a column's length."""
    return name.encode("utf-8", "replace").decode().replace("\0", "?")[:NAME_LENGTH]


METADATA = MetaData()
# Binary: names that differ in case only are different names.
_MYSQL: Final[dict[str, Any]] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}

JOB_SUMMARY = Table(
    "job_summary",
    METADATA,
    Column("cluster", Name, primary_key=True),
    Column("run_id", RunId, primary_key=True),
    # Slurm's job ids use all 32 bits, which is more than a signed INTEGER holds.
    Column("job_id", BigInteger, nullable=False),
    Column("submitted", Double, nullable=False),
    Column("started", Double),
    Column("ended", Double, nullable=False),
    Column("user", Name, nullable=False),
    Column("account", Name, nullable=False),
    Column("summary", Text, nullable=False),
    Column("version", SmallInteger, nullable=False),
    Index("job_summary_job_id", "cluster", "job_id"),
    Index("job_summary_ended", "ended"),
    **_MYSQL,
)

# The end of the last closed window of each cluster; whoever moves it forward writes that window's totals.
LEDGER_POSITION = Table(
    "ledger_position",
    METADATA,
    Column("cluster", Name, primary_key=True),
    Column("window_end", Double, nullable=False),
    **_MYSQL,
)
LEDGER_RUN = Table(
    "ledger_run",
    METADATA,
    Column("cluster", Name, primary_key=True),
    Column("run_id", RunId, primary_key=True),
    Column("until", Double, nullable=False),
    Column("totals", Text, nullable=False),
    Index("ledger_run_until", "until"),
    **_MYSQL,
)
LEDGER_USER = Table(
    "ledger_user",
    METADATA,
    Column("cluster", Name, primary_key=True),
    Column("user", Name, primary_key=True),
    Column("account", Name, primary_key=True),
    Column("until", Double, nullable=False),
    Column("totals", Text, nullable=False),
    **_MYSQL,
)
LEDGER_NODE = Table(
    "ledger_node",
    METADATA,
    Column("cluster", Name, primary_key=True),
    Column("node", Name, primary_key=True),
    Column("until", Double, nullable=False),
    Column("totals", Text, nullable=False),
    **_MYSQL,
)

SCRIPT = Table(
    "script",
    METADATA,
    Column("sha256", String(64), primary_key=True),
    # Compressed with zlib. MariaDB's BLOB ends at 64 KiB.
    Column("content", LargeBinary().with_variant(mysql.LONGBLOB, "mysql"), nullable=False),
    Column("received", Double, nullable=False),
    Index("script_received", "received"),
    **_MYSQL,
)

JOB_SCRIPT = Table(
    "job_script",
    METADATA,
    Column("cluster", Name, primary_key=True),
    Column("job_id", BigInteger, primary_key=True, autoincrement=False),
    Column("written", Double, primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("truncated", Boolean, nullable=False),
    Column("redactions", BigInteger, nullable=False),
    Column("received", Double, nullable=False),
    Index("job_script_sha256", "sha256"),
    Index("job_script_received", "received"),
    **_MYSQL,
)

# Whoever writes alerts of a cluster writes its row first, which keeps others out until the transaction ends.
ALERT_REVISION = Table(
    "alert_revision",
    METADATA,
    Column("cluster", Name, primary_key=True),
    Column("revision", String(32), nullable=False),
    **_MYSQL,
)
ALERT = Table(
    "alert",
    METADATA,
    Column("cluster", Name, primary_key=True),
    Column("fingerprint", String(64), primary_key=True),
    Column("start", Double, primary_key=True),
    Column("job_id", BigInteger),
    Column("user", Name, nullable=False),
    Column("account", Name),
    Column("reason", Name),
    Column("severity", Name),
    Column("first_notified", Double, nullable=False),
    Column("last_notified", Double, nullable=False),
    Column("resolved", Double),
    Index("alert_job_id", "cluster", "job_id"),
    Index("alert_user", "cluster", "user"),
    Index("alert_last_notified", "cluster", "last_notified"),
    **_MYSQL,
)
# counts is JSON: alerts by reason.
ALERT_COUNT = Table(
    "alert_count",
    METADATA,
    Column("cluster", Name, primary_key=True),
    Column("user", Name, primary_key=True),
    Column("account", Name, primary_key=True),
    Column("until", Double, nullable=False),
    Column("counts", Text, nullable=False),
    **_MYSQL,
)
