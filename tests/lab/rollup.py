"""slurmdbd's roll-ups, which it makes at each full hour and for what it has missed when it starts."""

from datetime import UTC, datetime

from tests.lab.process import wait_until
from tests.lab.slurm import DATABASE
from tests.lab.stack import Lab


def local(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC).astimezone()


def hour_of(at: float) -> int:
    """Give the start of the hour, by this machine's clock, which is slurmdbd's."""
    return int(local(at).replace(minute=0, second=0, microsecond=0).timestamp())


def rolled_until(lab: Lab) -> int:
    ((hour,),) = lab.mariadb.execute("SELECT hourly_rollup FROM lab_last_ran_table", DATABASE)
    return int(hour)


def roll_up_from(lab: Lab, begin: int, *statements: str) -> None:
    """Change slurmacct while slurmdbd is away, and let it roll up at least three hours, from the hour `begin` on."""
    lab.slurm.slurmdbd.stop()
    for statement in (
        *statements,
        f"UPDATE lab_event_table SET time_start={begin - 7200} WHERE node_name='' AND time_end=0",
        # slurmdbd writes the row at a cluster's first roll-up, which may not have been yet.
        "DELETE FROM lab_last_ran_table",
        "INSERT INTO lab_last_ran_table (hourly_rollup, daily_rollup, monthly_rollup)"
        f" VALUES ({begin}, {begin}, {begin})",
    ):
        lab.mariadb.execute(statement, DATABASE)
    lab.slurm.slurmdbd.start()
    wait_until(lambda: rolled_until(lab) >= begin + 3 * 3600, 60, "slurmdbd to roll up")
