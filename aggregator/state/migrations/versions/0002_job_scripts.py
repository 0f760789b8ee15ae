"""Create the tables of job scripts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002_job_scripts"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables and their indexes."""
    op.create_table(
        "script",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("content", sa.LargeBinary().with_variant(mysql.LONGBLOB, "mysql"), nullable=False),
        sa.Column("received", sa.Double, nullable=False),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    op.create_index("script_received", "script", ["received"])
    op.create_table(
        "job_script",
        sa.Column("cluster", sa.String(255), primary_key=True),
        sa.Column("job_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("written", sa.Double, primary_key=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("truncated", sa.Boolean, nullable=False),
        sa.Column("redactions", sa.BigInteger, nullable=False),
        sa.Column("received", sa.Double, nullable=False),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    op.create_index("job_script_sha256", "job_script", ["sha256"])
    op.create_index("job_script_received", "job_script", ["received"])
