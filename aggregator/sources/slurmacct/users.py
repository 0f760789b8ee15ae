"""Names of uids: slurmacct has no table of them, a uid and a user meet in the job table and its associations alone."""

from collections.abc import Collection

from aggregator.sources.mysql import Reads, SchemaError
from aggregator.sources.slurmacct.schema import Schema
from aggregator.sources.slurmacct.source import SlurmAcct


def newest_associations(schema: Schema, uids: int) -> str:
    """Select (uid, association) of a run of each uid that ended last: each uid is a parameter twice.

    Served by sacct_def2(id_user, time_end, …). Ordered by time_end and limited it would be read from rollup2, from the
    newest run of anybody back to one of the uid.
    """
    table = schema.table("job")
    arm = (
        f"(SELECT id_user, id_assoc FROM {table} WHERE id_user=%s"  # noqa: S608
        f" AND time_end=(SELECT MAX(time_end) FROM {table} WHERE id_user=%s) LIMIT 1)"
    )
    return " UNION ALL ".join([arm] * uids)


class SlurmUsers:
    """Name the uids of those who have ever had a job on one cluster."""

    def __init__(self, accounting: SlurmAcct, database: Reads) -> None:
        self._accounting = accounting
        self._database = database

    async def names(self, uids: Collection[int]) -> dict[int, str]:
        """Find the names of some uids, a row read for each; one that never had a job here is not in the answer.

        Raises FetchError.
        """
        if not uids:
            return {}
        schema, tables = await self._accounting.known()
        try:
            twice = [uid for uid in uids for _ in range(2)]
            rows = await self._database.rows(newest_associations(schema, len(uids)), twice)
        except SchemaError:
            self._accounting.forget_schema()
            raise
        found = ((int(uid), tables.dimensions.associations.get(int(association))) for uid, association in rows)
        return {uid: known[0] for uid, known in found if known and known[0]}
