"""Write the job table as slurmdbd does, one message of slurmctld at a time."""

from dataclasses import dataclass, field
from typing import Any

from tests.lab.mariadb import MariaDB

INFINITE, NO_VAL = 4294967295, 4294967294
PENDING, RUNNING, SUSPENDED, COMPLETED, CANCELLED, REQUEUED, RESIZING = 0, 1, 2, 3, 4, 1024, 8192
# Keys that slurmctld makes from 24.11 on, of a cluster whose number has the highest bit set.
SLUID = 2**63 + 2**40

_INSERT = """
INSERT INTO {table} (job_db_inx, mod_time, account, cpus_req, job_name, id_assoc, id_job, id_qos, id_resv, id_wckey,
  id_user, id_group, het_job_id, het_job_offset, mem_req, nodelist, nodes_alloc, `partition`, priority, state,
  timelimit, time_submit, time_eligible, time_start, time_end, tres_alloc, tres_req, array_max_tasks)
VALUES (%s, 0, 'def-kim', 4, 'x', 1, %s, 1, 0, 0, 1000, 1, 0, 4294967294, 0, 'None assigned', 1, 'cpu', 1, %s, 60, %s,
  %s, %s, %s, '', '1=4', 0)
"""


@dataclass
class Slurmdbd:
    """One cluster's job table, written at the server's time `now`."""

    mariadb: MariaDB
    database: str
    table: str
    now: int
    next_key: int = 1
    next_job: int = 1
    open: list[int] = field(default_factory=list)
    """Keys of the rows without an end."""

    def execute(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        return self.mariadb.execute(sql.replace("{table}", self.table), self.database, parameters)

    def keys_of(self, state: int) -> list[int]:
        """Give the open rows of a state."""
        rows = self.execute("SELECT job_db_inx FROM {table} WHERE time_end=0 AND state=%s ORDER BY job_db_inx", state)
        return [key for (key,) in rows]

    def submit(self, *, eligible: int | None = None) -> None:
        self._insert(self._new_job(), PENDING, self.now, self.now if eligible is None else eligible, 0, 0)

    def start(self, key: int) -> None:
        self._update(key, "state=GREATEST(state, 1), time_start=%s, nodelist='node[01-02]', tres_alloc='1=4'", self.now)

    def end(self, key: int, age: int) -> None:
        """End a run `age` seconds ago: slurmctld keeps messages while slurmdbd is down."""
        self._close(key, f"state={COMPLETED}, time_end=GREATEST(time_submit, %s)", self.now - age)

    def requeue(self, key: int) -> None:
        ((job_id,),) = self.execute("SELECT id_job FROM {table} WHERE job_db_inx=%s", key)
        self._close(key, f"state={REQUEUED}, time_end=%s", self.now)
        self._insert(job_id, PENDING, self._later_than_last(job_id), self.now, 0, 0)

    def resize(self, key: int) -> None:
        ((job_id,),) = self.execute("SELECT id_job FROM {table} WHERE job_db_inx=%s", key)
        self._close(key, f"state={RESIZING}, time_end=%s", self.now)
        self._insert(job_id, RUNNING, self._later_than_last(job_id), self.now, self.now, 0)

    def suspend(self, key: int) -> None:
        """While suspended, time_suspended is a virtual start."""
        self._update(key, f"time_suspended=%s-time_suspended, state={SUSPENDED}", self.now)

    def resume(self, key: int) -> None:
        self._update(key, f"time_suspended=%s-time_suspended, state={RUNNING}", self.now)

    def change(self, key: int, minutes: int) -> None:
        """Do `scontrol update job TimeLimit=…`: no column of an index changes."""
        self._update(key, "timelimit=%s", minutes)

    def come_late(self, age: int) -> None:
        """Record a run that began and ended while slurmdbd was down."""
        begin = self.now - age - 60
        self._insert(self._new_job(), COMPLETED, begin, begin, begin, self.now - age)

    def fix_runaway(self, key: int) -> None:
        self._close(key, f"state={COMPLETED}, time_end=GREATEST(time_start, time_eligible, time_submit)")

    def flush(self) -> None:
        """Do what slurmdbd does when slurmctld has started cold."""
        self.execute(f"UPDATE {{table}} SET state={CANCELLED}, time_end=%s WHERE time_end=0", self.now)
        self.open.clear()

    def upgrade(self) -> None:
        """Give every row another key, as the upgrade to 24.11 does, once."""
        if self.next_key > SLUID:
            return
        self.execute("UPDATE {table} SET job_db_inx=job_db_inx+%s ORDER BY job_db_inx DESC", SLUID)
        self.open = [key + SLUID for key in self.open]
        self.next_key += SLUID

    def purge(self, before: int) -> None:
        self.execute("DELETE FROM {table} WHERE time_end>0 AND time_end<%s", before)

    def lose(self, key: int) -> None:
        """Remove an open row, as an administrator does by hand."""
        self.execute("DELETE FROM {table} WHERE job_db_inx=%s", key)
        self.open.remove(key)

    def _insert(self, job_id: int, state: int, submit: int, eligible: int, start: int, end: int) -> None:
        self.execute(_INSERT, self.next_key, job_id, state, submit, eligible, start, end)
        if not end:
            self.open.append(self.next_key)
        self.next_key += 1

    def _update(self, key: int, assignments: str, *parameters: object) -> None:
        self.execute(f"UPDATE {{table}} SET {assignments} WHERE job_db_inx=%s", *parameters, key)

    def _close(self, key: int, assignments: str, *parameters: object) -> None:
        self._update(key, assignments, *parameters)
        self.open.remove(key)

    def _later_than_last(self, job_id: int) -> int:
        """Give the submit time of an id's next row: (id_job, time_submit) is unique."""
        ((last,),) = self.execute("SELECT MAX(time_submit) FROM {table} WHERE id_job=%s", job_id)
        return max(self.now, int(last) + 1)

    def _new_job(self) -> int:
        self.next_job += 1
        return self.next_job
