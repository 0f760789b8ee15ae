"""Create the table of ended runs' summaries."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the table and its indexes."""
    op.create_table(
        "job_summary",
        sa.Column("cluster", sa.String(255), primary_key=True),
        sa.Column("run_id", sa.String(20), primary_key=True),
        sa.Column("job_id", sa.BigInteger, nullable=False),
        sa.Column("submitted", sa.Double, nullable=False),
        sa.Column("started", sa.Double),
        sa.Column("ended", sa.Double, nullable=False),
        sa.Column("user", sa.String(255), nullable=False),
        sa.Column("account", sa.String(255), nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("version", sa.SmallInteger, nullable=False),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    op.create_index("job_summary_job_id", "job_summary", ["cluster", "job_id"])
    op.create_index("job_summary_ended", "job_summary", ["ended"])
