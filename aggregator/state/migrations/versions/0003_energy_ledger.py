"""Create the tables of the energy ledger."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003_energy_ledger"
down_revision = "0002_job_scripts"

_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def upgrade() -> None:
    """Create one table for the position, and one each for the totals of runs, users and nodes."""
    op.create_table(
        "ledger_position",
        sa.Column("cluster", sa.String(255), primary_key=True),
        sa.Column("window_end", sa.Double, nullable=False),
        **_MYSQL,
    )
    _create_totals("ledger_run", sa.Column("run_id", sa.String(20), primary_key=True))
    op.create_index("ledger_run_until", "ledger_run", ["until"])
    _create_totals(
        "ledger_user",
        sa.Column("user", sa.String(255), primary_key=True),
        sa.Column("account", sa.String(255), primary_key=True),
    )
    _create_totals("ledger_node", sa.Column("node", sa.String(255), primary_key=True))


def _create_totals(name: str, *keys: sa.Column[str]) -> None:
    op.create_table(
        name,
        sa.Column("cluster", sa.String(255), primary_key=True),
        *keys,
        sa.Column("until", sa.Double, nullable=False),
        sa.Column("totals", sa.Text, nullable=False),
        **_MYSQL,
    )
