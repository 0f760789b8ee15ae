"""A private MariaDB server."""

import os
import pwd
import socket
import subprocess
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pymysql

from tests.lab.packages import DATABASE, ensure_packages, program
from tests.lab.ports import LOOPBACK, free_port
from tests.lab.process import Daemon, lab_environment

_DEFAULTS = """\
[mariadbd]
datadir = {data}
socket = {socket}
pid-file = {folder}/mariadbd.pid
# A server that starts deletes the temporary tables in its tmpdir, those of other servers too.
tmpdir = {folder}/tmp
bind-address = {address}
port = {port}
skip-name-resolve
{replication}
{timing}
character-set-server = utf8mb4
innodb_buffer_pool_size = 64M
innodb_log_file_size = 32M
# Survives the death of the process, which tests cause, and not that of the machine.
innodb_flush_log_at_trx_commit = 2
innodb_lock_wait_timeout = 60
max_connections = 200
# The user "slurm" is a slurmdbd built with an older client library, whose connections are latin1:
# with its latin1 database, the names' bytes arrive as users wrote them, valid UTF-8 or not.
init_connect = "IF USER() LIKE 'slurm@%' THEN SET NAMES latin1; END IF"
"""
# The server times each transaction itself.
_TIMING = """\
performance_schema = ON
performance-schema-instrument = 'transaction=ON'
performance-schema-consumer-events-transactions-current = ON
"""


class MariaDB:
    """
    A MariaDB server in a folder of *root*, on its own port; it can be stopped and started again.

    One with a *server_id* can be the primary or a replica of another one, one with a *certificate* (the path of a PEM
    file with its key) offers TLS. A *timed* one knows how long transactions last.
    """

    def __init__(
        self, root: Path, server_id: int | None = None, *, certificate: Path | None = None, timed: bool = False
    ) -> None:
        ensure_packages(DATABASE)
        self._replication = "skip-log-bin" if server_id is None else f"server-id = {server_id}\nlog-bin = binlog"
        if certificate:
            self._replication += f"\nssl-cert = {certificate}\nssl-key = {certificate}"
        self._timing = _TIMING if timed else ""
        self.folder = root / "mariadb"
        self.port = free_port()
        self.socket = self.folder / "mariadb.sock"
        self._env = lab_environment(root)
        self._defaults = self.folder / "mariadb.cnf"
        self._data = self.folder / "data"
        self.daemon = Daemon(
            "mariadbd",
            [program("mariadbd"), f"--defaults-file={self._defaults}", *self._user()],
            log=self.folder / "mariadbd.log",
            env=self._env,
            ready=self._answers,
        )

    def start(self) -> None:
        """Start the server, after creating its data folder the first time."""
        if not self._data.exists():
            self._install()
        self.daemon.start()

    def stop(self) -> None:
        self.daemon.stop(timeout=20)

    def kill(self) -> None:
        self.daemon.kill()

    def execute(
        self, sql: str, database: str | None = None, params: Sequence[Any] | None = None
    ) -> list[tuple[Any, ...]]:
        """Run one statement as the administrator and return its rows."""
        with closing(self.connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute(sql, params)
            return list(cursor.fetchall())

    def follow(self, primary: "MariaDB") -> None:
        """Begin to replicate all that *primary* has written since its start."""
        primary.create_user("replication", "only for tests", ["REPLICATION SLAVE ON *.*"])
        self.execute(
            f"CHANGE MASTER TO MASTER_HOST='{LOOPBACK}', MASTER_PORT={primary.port}, MASTER_USER='replication',"
            " MASTER_PASSWORD='only for tests', MASTER_CONNECT_RETRY=1, MASTER_USE_GTID=slave_pos"
        )
        self.execute("START SLAVE")

    def create_database(self, name: str, charset: str = "utf8mb4") -> None:
        self.execute(f"CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET {charset}")

    def load(self, path: Path, database: str) -> None:
        """Load the dump *path* into *database*, which is created."""
        self.create_database(database)
        client = [program("mariadb"), "--no-defaults", f"--socket={self.socket}", "--user=root", database]
        with path.open("rb") as dump:
            subprocess.run(client, stdin=dump, env=self._env, check=True, capture_output=True, timeout=60)

    def create_user(self, name: str, password: str, grants: Sequence[str]) -> None:
        """Create a user for loopback with *grants* such as ``SELECT ON `db`.*``."""
        account = f"'{name}'@'{LOOPBACK}'"
        # The statement has no parameters, so that a % in a grant stays a %.
        self.execute(f"CREATE OR REPLACE USER {account} IDENTIFIED BY '{password}'")
        for grant in grants:
            self.execute(f"GRANT {grant} TO {account}")

    def _install(self) -> None:
        for folder in (self.folder, self.folder / "tmp"):
            folder.mkdir(exist_ok=True)
            if os.geteuid() == 0:
                mysql = pwd.getpwnam("mysql")
                os.chown(folder, mysql.pw_uid, mysql.pw_gid)
        self._defaults.write_text(
            _DEFAULTS.format(
                data=self._data,
                socket=self.socket,
                folder=self.folder,
                address=LOOPBACK,
                port=self.port,
                replication=self._replication,
                timing=self._timing,
            )
        )
        command = [
            program("mariadb-install-db"),
            f"--defaults-file={self._defaults}",
            *self._user(),
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ]
        done = subprocess.run(command, env=self._env, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode != 0:
            raise RuntimeError(f"mariadb-install-db failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")

    @staticmethod
    def _user() -> list[str]:
        return ["--user=mysql"] if os.geteuid() == 0 else []

    def connect(self, database: str | None = None) -> "pymysql.Connection[Any]":
        # Without TLS: to read the machine's certificates takes longer than most statements.
        return pymysql.connect(
            unix_socket=str(self.socket), user="root", database=database, autocommit=True, connect_timeout=30,
            ssl_disabled=True,
        )  # fmt: skip

    def _answers(self) -> bool:
        # Asked without the driver, which does not close its socket when the connection is refused.
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(self.socket)) != 0:
                return False
        try:
            self.execute("SELECT 1")
        except pymysql.err.MySQLError:
            return False
        return True
