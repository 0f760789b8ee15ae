"""A job table of millions of rows in a real MariaDB, and what reading it costs the server."""

from collections.abc import Callable, Sequence

from aggregator.sources.mysql import Database
from tests.lab.mariadb import MariaDB
from tests.slurm_schema import create_tables

CLUSTER, NOW = "narval-2", 1_700_000_000
# Indexes that no statement of a fetch can use: without them the table is filled faster.
UNUSED = (
    "wckey", "qos", "association", "array_job", "het_job", "reserv", "sacct_def", "sacct_def2", "old_tuple",
    "nodes_alloc", "env_hash_inx", "script_hash_inx", "sluid",
)  # fmt: skip
_TABLE, _FIRST, _STEP = f"`{CLUSTER}_job_table`", 9223373136366403584, 500_000


class LargeTable:
    """One run has ended each second until *now*, and the others are open; *unused* are the indexes that it lacks."""

    def __init__(
        self,
        mariadb: MariaDB,
        database: str,
        ended: int,
        open_rows: int,
        now: int = NOW,
        unused: Sequence[str] = UNUSED,
    ) -> None:
        self.open_rows = open_rows
        self.now = now
        self._mariadb = mariadb
        self._database = database
        self._ended = ended
        self._unused = unused

    def fill(self, progress: Callable[[int], None] = lambda rows: None) -> None:
        """Make the tables of the newest release and fill them, some rows at a time."""
        create_tables(self._mariadb, self._database, "26.05", CLUSTER)
        self._execute(f"ALTER TABLE {_TABLE} {', '.join(f'DROP INDEX {index}' for index in self._unused)}")
        rows = self._ended + self.open_rows
        for first in range(1, rows + 1, _STEP):
            last = min(rows, first + _STEP - 1)
            self._execute(self._insert(first, last))
            progress(last)
        self._execute(f"ANALYZE TABLE {_TABLE}")

    def change(self, step: int) -> None:
        """End the 30 oldest open runs, and change the time limit of the 30 newest that have not been changed."""
        for assignments, last in (
            (f"state=3, time_end={self.now + step}", _FIRST + self._ended + step),
            ("timelimit=120", _FIRST + self._ended + self.open_rows - step + 30),
        ):
            self._execute(f"UPDATE {_TABLE} SET {assignments} WHERE job_db_inx>{last - 30} AND job_db_inx<={last}")

    @property
    def first_open(self) -> int:
        """The job id of the oldest open run; ids and keys go up by one."""
        return self._ended + 1

    def _insert(self, first: int, last: int) -> str:
        begin = self.now - self._ended
        return f"""
            INSERT INTO {_TABLE} (job_db_inx, mod_time, account, cpus_req, job_name, id_assoc, id_job, id_qos, id_resv,
              id_wckey, id_user, id_group, het_job_id, het_job_offset, mem_req, nodelist, nodes_alloc, `partition`,
              priority, state, timelimit, time_submit, time_eligible, time_start, time_end, tres_alloc, tres_req,
              array_max_tasks)
            SELECT {_FIRST} + seq, 0, 'def-kim', 4, 'job', 1, seq, 1, 0, 0, 1000, 1, 0, 4294967294, 0, 'node[01-02]', 2,
              'cpu', 1, IF(seq <= {self._ended}, 3, 1), 60, {begin} + seq - 900, {begin} + seq - 900,
              {begin} + seq - 800, IF(seq <= {self._ended}, {begin} + seq, 0), '1=4,2=8000,4=2,1001=2',
              '1=4,2=8000,4=2', 0
            FROM seq_{first}_to_{last}"""

    def _execute(self, sql: str) -> None:
        self._mariadb.execute(sql, self._database)


async def handled(database: Database) -> int:
    """Give the rows of tables and entries of indexes that this session has read.

    Those of temporary tables are not among them, nor are entries that the engine itself has passed over, by the key.
    """
    counters = dict(await database.rows("SHOW SESSION STATUS LIKE 'Rows_read'"))
    return int(counters["Rows_read"])
