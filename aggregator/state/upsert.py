"""The one statement that the three databases spell differently."""

from sqlalchemy import Table
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.sql.dml import Insert


def upsert(table: Table, dialect: str, *replaced: str) -> Insert:
    """Insert rows; of those that have the same primary key replace the columns that are named, else all."""
    names = replaced or [column.name for column in table.columns if not column.primary_key]
    if dialect == "mysql":
        insert = mysql.insert(table)
        return insert.on_duplicate_key_update({name: insert.inserted[name] for name in names})
    statement = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key.columns), set_={name: statement.excluded[name] for name in names}
    )
