"""Create the tables of alerts on waste."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004_alerts"
down_revision = "0003_energy_ledger"

_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def upgrade() -> None:
    """Create one table for the alerts, one for the counts of users, and one for the revision of each cluster."""
    op.create_table(
        "alert_revision",
        sa.Column("cluster", sa.String(255), primary_key=True),
        sa.Column("revision", sa.String(32), nullable=False),
        **_MYSQL,
    )
    op.create_table(
        "alert",
        sa.Column("cluster", sa.String(255), primary_key=True),
        sa.Column("fingerprint", sa.String(64), primary_key=True),
        sa.Column("start", sa.Double, primary_key=True),
        sa.Column("job_id", sa.BigInteger),
        sa.Column("user", sa.String(255), nullable=False),
        sa.Column("account", sa.String(255)),
        sa.Column("reason", sa.String(255)),
        sa.Column("severity", sa.String(255)),
        sa.Column("first_notified", sa.Double, nullable=False),
        sa.Column("last_notified", sa.Double, nullable=False),
        sa.Column("resolved", sa.Double),
        **_MYSQL,
    )
    op.create_index("alert_job_id", "alert", ["cluster", "job_id"])
    op.create_index("alert_user", "alert", ["cluster", "user"])
    op.create_index("alert_last_notified", "alert", ["cluster", "last_notified"])
    op.create_table(
        "alert_count",
        sa.Column("cluster", sa.String(255), primary_key=True),
        sa.Column("user", sa.String(255), primary_key=True),
        sa.Column("account", sa.String(255), primary_key=True),
        sa.Column("until", sa.Double, nullable=False),
        sa.Column("counts", sa.Text, nullable=False),
        **_MYSQL,
    )
