"""The Robinhood databases, and the user with whom the service reads everything."""

import secrets
from pathlib import Path

from tests.lab.mariadb import MariaDB
from tests.lab.slurm import DATABASE

USER = "aggregator"
HSM = "robinhood_project"
PLAIN = "robinhood_plain"

_DUMP = Path(__file__).parent / "data" / "robinhood_hsm.sql"
_KEY = "uid, gid, type"
_SUMS = (
    "size", "blocks", "count",
    "sz0", "sz1", "sz32", "sz1K", "sz32K", "sz1M", "sz32M", "sz1G", "sz32G", "sz1T",
)  # fmt: skip


def load_robinhood(mariadb: MariaDB) -> None:
    """Load the database of a file system with HSM, and derive one without from it."""
    mariadb.load(_DUMP, HSM)
    mariadb.create_database(PLAIN)
    columns = ", ".join(f"`{column}`" for column in _SUMS)
    sums = ", ".join(f"SUM(`{column}`)" for column in _SUMS)
    for statement in (
        f"CREATE TABLE ACCT_STAT LIKE {HSM}.ACCT_STAT",
        f"ALTER TABLE ACCT_STAT DROP PRIMARY KEY, DROP COLUMN lhsm_status, ADD PRIMARY KEY ({_KEY})",
        f"INSERT INTO ACCT_STAT ({_KEY}, {columns}) SELECT {_KEY}, {sums} FROM {HSM}.ACCT_STAT GROUP BY {_KEY}",
        f"CREATE TABLE VARS LIKE {HSM}.VARS",
        f"INSERT INTO VARS SELECT * FROM {HSM}.VARS WHERE varname NOT LIKE 'lhsm%'",
    ):
        mariadb.execute(statement, PLAIN)


def create_reader(mariadb: MariaDB, password_file: Path) -> None:
    """Create the service's read-only user, whose password goes to *password_file*."""
    password = secrets.token_hex(12)
    # An underscore would stand for any character there.
    escaped = DATABASE.replace("_", r"\_")
    tables = [f"SELECT ON `{database}`.`{table}`" for database in (HSM, PLAIN) for table in ("ACCT_STAT", "VARS")]
    mariadb.create_user(USER, password, [f"SELECT ON `{escaped}`.*", *tables])
    password_file.parent.mkdir(mode=0o700, exist_ok=True)
    password_file.touch(mode=0o600)
    password_file.write_text(password + "\n")
