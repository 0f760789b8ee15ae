"""Migrate to the newest revision; Alembic runs this file in the thread that called `schema.upgrade`."""

import asyncio

from alembic import context
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from aggregator.state.schema import VERSION_TABLE, lock
from aggregator.state.tables import METADATA


def migrate(connection: Connection) -> None:
    """Run the missing revisions, one process at a time."""
    seen = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_heads()
    if seen == HEADS:
        return
    connection.rollback()
    lock(connection)
    # Only now: what was seen before the lock may have changed.
    context.configure(connection=connection, target_metadata=METADATA, version_table=VERSION_TABLE)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()


async def main() -> None:
    """Open one connection and migrate on it."""
    engine = context.config.attributes["create_engine"]()
    try:
        async with engine.connect() as connection:
            await connection.run_sync(migrate)
    finally:
        await engine.dispose()


# Reads the revisions' files, before there is an event loop that this would block.
HEADS = tuple(context.script.get_heads())
asyncio.run(main())
