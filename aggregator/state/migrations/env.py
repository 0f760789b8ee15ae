"""Migrate to the newest revision; Alembic runs this file in the thread that called `schema.upgrade`."""

import asyncio
from contextlib import AsyncExitStack

from alembic import context
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from aggregator.executors import DNS
from aggregator.state.engine import CONNECT_SECONDS
from aggregator.state.schema import MIGRATE_SECONDS, VERSION_TABLE, check_tables, lock
from aggregator.state.tables import METADATA


def migrate(connection: Connection) -> None:
    """Run the missing revisions, one process at a time."""
    seen = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_heads()
    context.config.attributes["was_empty"] = not seen
    if seen == HEADS:
        check_tables(connection)
        return
    connection.rollback()
    lock(connection)
    # Only now: what was seen before the lock may have changed.
    context.configure(connection=connection, target_metadata=METADATA, version_table=VERSION_TABLE)
    with context.begin_transaction():
        context.run_migrations()
        check_tables(connection)
    connection.commit()


async def main() -> None:
    """Open one connection and migrate on it."""
    # A name that is never resolved must not keep this thread.
    asyncio.get_running_loop().set_default_executor(DNS)
    engine = context.config.attributes["create_engine"]()
    try:
        async with asyncio.timeout(MIGRATE_SECONDS), AsyncExitStack() as stack:
            async with asyncio.timeout(CONNECT_SECONDS):
                connection = await stack.enter_async_context(engine.connect())
            await connection.run_sync(migrate)
    finally:
        await engine.dispose()


# Reads the revisions' files, before there is an event loop that this would block.
HEADS = tuple(context.script.get_heads())
asyncio.run(main())
