"""One history of a cluster, written into slurmdbd's tables as each release would have written it."""

from collections.abc import Iterable
from typing import Any, Final

from tests.lab.mariadb import MariaDB
from tests.slurm_schema import create_tables, schemas

CLUSTER, NOW = "narval", 1_700_000_000
NO_VAL, INFINITE, NO_VAL64 = 4294967294, 4294967295, 2**64 - 2
ALICE, BOB, ERIN, NOBODY = 1000, 1001, 1002, 4242
SCRIPT = b"#!/bin/bash\n./caf\xe9\n"
FEDERATED = (3 << 26) + 500

# From 24.11 on job_db_inx is a SLUID: these cluster ids put it above 2^53, below 2^63, at 2^63 and at the top.
SLUID_CLUSTERS: Final = {"24.11": 2, "25.05": 2047, "25.11": 2048, "26.05": 4095}
# slurmdbd itself makes the SLUIDs of jobs of an older slurmctld.
_OF_AN_OLD_SLURMCTLD = frozenset({"completed"})

Row = dict[str, Any]

_RUNNING = {
    "state": 1, "time_eligible": NOW - 3600, "time_start": NOW - 3000, "nodelist": "node[01-02]",
    "tres_alloc": f"1=4,2=8000,3={NO_VAL64},4=2,5=4", "tres_req": "1=4,2=8000,4=2",
}  # fmt: skip
_PENDING = {"state": 0, "time_eligible": NOW - 3600, "nodelist": "None assigned", "tres_req": "1=4,2=8000,4=2"}
_ENDED = {**_RUNNING, "state": 3, "time_end": NOW - 60, "tres_alloc": "1=4,2=8000,3=86400,4=2,5=4"}
_GPUS = {"tres_alloc": "1=2,2=4000,4=1,1001=4,1002=3", "nodelist": "gpu[1,010-011]", "partition": "gpu"}

# name → what its row has besides _DEFAULTS; a row without an id_job has the number of its place.
JOBS: Final[dict[str, Row]] = {
    "running": _RUNNING,
    "pending": {**_PENDING, "partition": "cpu,gpu", "timelimit": INFINITE},
    "held": {**_PENDING, "time_eligible": 0, "priority": 0, "timelimit": NO_VAL, "nodelist": None},
    "array_rest": {
        **_PENDING, "id_job": 100, "id_array_job": 100, "array_task_str": "0x38", "array_task_pending": 3,
        "array_max_tasks": 3, "time_eligible": INFINITE,
    },
    "array_task": {**_RUNNING, "id_job": 101, "id_array_job": 100, "id_array_task": 0},
    "old_array_task": {**_ENDED, "id_job": 102, "id_array_job": 0, "id_array_task": 0},
    "het_leader": {**_RUNNING, "id_job": 200, "het_job_id": 200, "het_job_offset": 0},
    "het_component": {**_RUNNING, "id_job": 201, "het_job_id": 200, "het_job_offset": 1},
    "requeued": {**_ENDED, "id_job": 300, "state": 1024, "time_submit": NOW - 5000},
    "requeued_again": {**_RUNNING, "id_job": 300, "time_submit": NOW - 60, "time_start": NOW - 30},
    "resized": {**_ENDED, "id_job": 310, "state": 8192, "time_submit": NOW - 5000},
    "resized_to": {**_RUNNING, "id_job": 310, "time_submit": NOW - 60, "time_start": NOW - 60},
    "revoked": {**_ENDED, "state": 524288},
    "completed": _ENDED,
    "cancelled_pending": {**_ENDED, "state": 4, "time_start": 0, "nodelist": "None assigned", "tres_alloc": "",
                          "kill_requid": ALICE},
    "failed": {**_ENDED, "state": 5, "exit_code": 256},
    "timeout": {**_ENDED, "state": 6},
    "node_fail": {**_ENDED, "state": 7},
    "preempted": {**_ENDED, "state": 8},
    "boot_fail": {**_ENDED, "state": 9},
    "deadline": {**_ENDED, "state": 10},
    "out_of_memory": {**_ENDED, "state": 11, "derived_ec": 125},
    "runaway": {**_RUNNING, "time_start": NOW - 900_000},
    "runaway_fixed": {**_ENDED, "time_end": INFINITE, "time_eligible": INFINITE},
    "suspended": {**_RUNNING, "state": 2, "time_suspended": NOW - 500},
    "resumed": {**_RUNNING, "time_suspended": 700},
    "no_association": {**_RUNNING, "id_assoc": 0, "id_user": NOBODY, "account": "def-kim"},
    "vanished_association": {**_RUNNING, "id_assoc": 99, "id_user": NOBODY, "account": "def-was"},
    "deleted_association": {**_ENDED, "id_assoc": 14, "id_user": ERIN, "account": "def-gone"},
    "partition_association": {**_RUNNING, **_GPUS, "id_assoc": 11},
    "account_of_the_association": {**_RUNNING, "id_assoc": 12, "id_user": BOB, "account": None},
    "latin1_name": {**_RUNNING, "job_name": b"caf\xe9"},
    "hostile_name": {**_RUNNING, "job_name": 'a "b" \\ {c}\n\U0001f680'.encode()},
    "federated": {**_RUNNING, "id_job": FEDERATED},
    "federated_task": {**_RUNNING, "id_job": FEDERATED + 1, "id_array_job": FEDERATED, "id_array_task": 7},
    "with_script": {**_ENDED, "script_hash_inx": 7, "batch_script": SCRIPT},
    "script_not_yet": {**_RUNNING, "script_hash_inx": 8, "batch_script": None},
    "without_script": {**_RUNNING, "script_hash_inx": 0, "batch_script": None},
    "script_purged": {**_ENDED, "script_hash_inx": 9, "batch_script": None},
    "ended_long_ago": {**_ENDED, "time_end": NOW - 9_000, "time_start": NOW - 9_500},
}  # fmt: skip
# Until 24.05 no row is ever marked; later a purge marks rows before it removes them.
PURGED: Final = {"purged": {**_ENDED, "id_job": 900, "deleted": 1}}

_DEFAULTS: Final[Row] = {
    "mod_time": NOW, "account": "def-kim", "cpus_req": 4, "job_name": b"train", "id_assoc": 10, "id_user": ALICE,
    "id_group": 1000, "id_qos": 1, "id_resv": 0, "id_wckey": 0, "id_array_task": NO_VAL, "het_job_id": 0,
    "het_job_offset": NO_VAL, "mem_req": 2**63 + 2000, "nodes_alloc": 2, "partition": "cpu", "priority": 1000,
    "state_reason_prev": 0, "exit_code": 0, "derived_ec": 0, "deleted": 0, "id_array_job": 0,
    "array_task_str": None, "array_task_pending": 0, "array_max_tasks": 0, "script_hash_inx": 0, "batch_script": None,
    "timelimit": 120, "time_submit": NOW - 3700, "time_eligible": 0, "time_start": 0,
    "time_end": 0, "time_suspended": 0, "wckey": "", "work_dir": "/home", "tres_alloc": "", "tres_req": "",
    "submit_line": "sbatch train.sh", "track_steps": 0, "std_out": "/home/%j.out", "restart_cnt": 0,
}  # fmt: skip

# id → user, account, partition, parent, deleted, left, right, id of the parent, path
_ASSOCIATIONS: Final = {
    1: ("", "root", "", "", 0, 1, 20, 0, "/"),
    2: ("root", "root", "", "", 0, 2, 3, 1, "/0-root/"),
    3: ("", "def-kim", "", "root", 0, 4, 13, 1, "/def-kim/"),
    4: ("", "def-kim-sub", "", "def-kim", 0, 5, 8, 3, "/def-kim/def-kim-sub/"),
    5: ("", "def_kim", "", "root", 0, 14, 15, 1, "/def_kim/"),
    10: ("alice", "def-kim", "", "", 0, 9, 10, 3, "/def-kim/0-alice/"),
    11: ("alice", "def-kim", "gpu", "", 0, 11, 12, 3, "/def-kim/0-alice/gpu/"),
    12: ("bob", "def-kim-sub", "", "", 0, 6, 7, 4, "/def-kim/def-kim-sub/0-bob/"),
    13: ("", "def-gone", "", "root", 1, 16, 19, 1, "/def-gone/"),
    14: ("erin", "def-gone", "", "", 1, 17, 18, 13, "/def-gone/0-erin/"),
}
_ACCOUNTS: Final = (("root", "root", 0), ("def-kim", "physics", 0), ("def-kim-sub", "physics", 0),
                    ("def_kim", "", 0), ("def-gone", "biology", 1))  # fmt: skip
_TRES: Final = ((1, "cpu", "", 0), (2, "mem", "", 0), (3, "energy", "", 0), (4, "node", "", 0), (5, "billing", "", 0),
                (1001, "gres", "gpu", 0), (1002, "gres", "gpu:a100", 0), (1003, "gres", "gpu:k80", 1))  # fmt: skip


def run_id(release: str, name: str) -> int:
    """Give the job_db_inx that a release has for the job of this name."""
    number = 1 + list({**JOBS, **PURGED}).index(name)
    if release not in SLUID_CLUSTERS:
        return number
    cluster = 1 if name in _OF_AN_OLD_SLURMCTLD else SLUID_CLUSTERS[release]
    return cluster << 52 | (NOW * 1000 + number) << 10 | number


def job_id(name: str) -> int:
    """Give the id_job of the job of this name."""
    return int(JOBS[name].get("id_job", 1000 + list(JOBS).index(name)))


def load_history(mariadb: MariaDB, database: str, release: str) -> None:
    """Create a release's tables and write the history into them."""
    # Slurm's bytes are not always UTF-8, and such a server's tables take them as they come.
    create_tables(mariadb, database, release, CLUSTER, charset="latin1")

    def insert(table: str, rows: Iterable[Row]) -> None:
        _insert(mariadb, database, release, table, list(rows))

    names = {**JOBS, **PURGED} if release in SLUID_CLUSTERS else JOBS
    insert("<cluster>_job_table", (_job_row(release, name) for name in names))
    insert("<cluster>_assoc_table", (_association_row(release, number) for number in _ASSOCIATIONS))
    insert("acct_table", ({"name": name, "organization": of, "deleted": gone} for name, of, gone in _ACCOUNTS))
    insert("tres_table", ({"id": i, "type": kind, "name": name, "deleted": gone} for i, kind, name, gone in _TRES))
    insert("qos_table", ({"id": 1, "name": "normal"},))
    insert("<cluster>_usage_hour_table", ({"id_tres": 1, "time_start": NOW, "plan_secs": 60, "resv_secs": 60},))
    insert("<cluster>_job_script_table", ({"hash_inx": 7, "batch_script": SCRIPT, "script_hash": "2:7"},
                                          {"hash_inx": 8, "batch_script": None, "script_hash": "2:8"}))  # fmt: skip


def _job_row(release: str, name: str) -> Row:
    row = {**_DEFAULTS, **{**JOBS, **PURGED}[name], "job_db_inx": run_id(release, name)}
    row.setdefault("id_job", job_id(name) if name in JOBS else 0)
    # Nobody ended the job: a negative number until 21.08, later nothing.
    row.setdefault("kill_requid", -1 if release <= "21.08" else None)
    row["sluid"] = row["job_db_inx"]
    return row


def _association_row(release: str, number: int) -> Row:
    user, account, partition, parent, deleted, left, right, id_parent, lineage = _ASSOCIATIONS[number]
    stale = release >= "23.11"  # the columns are there until 24.11, and nobody keeps them
    return {
        "id_assoc": number, "user": user, "acct": account, "partition": partition, "parent_acct": parent,
        "deleted": deleted, "lft": 0 if stale else left, "rgt": 0 if stale else right, "id_parent": id_parent,
        "lineage": lineage, "qos": b",1,", "delta_qos": b"",
    }  # fmt: skip


def _insert(mariadb: MariaDB, database: str, release: str, table: str, rows: list[Row]) -> None:
    """Insert rows of the same columns, those that the release has; nothing where it has no such table."""
    has = schemas()[release].get(table, {"columns": {}})["columns"]
    columns = [column for column in rows[0] if column in has]
    if not columns:
        return
    names, places = ", ".join(f"`{column}`" for column in columns), ", ".join(["%s"] * len(columns))
    sql = f"INSERT INTO `{table.replace('<cluster>', CLUSTER)}` ({names}) VALUES " + ", ".join(
        [f"({places})"] * len(rows)
    )
    mariadb.execute(sql, database, [row[column] for row in rows for column in columns])
