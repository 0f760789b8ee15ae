"""The SQL that is sent to slurmacct. Every statement that runs on a timer is served by an index (tests read EXPLAIN).

Text columns are cast to binary: slurmdbd sets no character set, so only the bytes can be trusted.
`deleted+0=0` instead of `deleted=0`: from Slurm 25.05 on there is an index on that column which misleads the planner.
"""

from typing import Final

from aggregator.model.question import Question
from aggregator.sources.slurmacct.schema import Schema

# column → the expression where a release lacks it; order is that of rows.RunRow.
RUN_COLUMNS: Final = {
    "job_db_inx": "0",
    "id_job": "0",
    "id_assoc": "0",
    "id_user": "0",
    "account": "''",
    "partition": "''",
    "job_name": "''",
    "state": "0",
    "time_submit": "0",
    "time_eligible": "0",
    "time_start": "0",
    "time_end": "0",
    "time_suspended": "0",
    "timelimit": "4294967294",
    "tres_alloc": "''",
    "tres_req": "''",
    "nodelist": "''",
    "id_qos": "0",
    "id_array_job": "0",
    "id_array_task": "4294967294",
    "array_task_pending": "0",
    "het_job_id": "0",
    "het_job_offset": "4294967294",
    "sluid": "0",
}
TEXT: Final = frozenset({"account", "partition", "job_name", "tres_alloc", "tres_req", "nodelist"})
# A job id that a user asks for may stand for a large array.
MAX_RUNS_OF_ID: Final = 1000
# Rows of one statement: an IN with more of them is planned as badly as the server likes.
CHUNK_KEYS: Final = 5000
CHUNK_RUNS: Final = 500
# The open rows are compared by blocks of their keys; a prime number, for keys since 24.11 are times with gaps.
BLOCKS: Final = 4093
# Where more blocks than these differ, the keys of all are read.
MAX_BLOCKS: Final = BLOCKS // 2
# MariaDB makes a join of an IN with 1,000 values.
_MAX_IN: Final = 900
# The order is that of rollup2, which every release has: a chunk is read from the index without sorting.
_ENDED_AFTER: Final = (
    "time_end>=%s AND time_end<%s AND (time_end>%s OR time_eligible>%s OR (time_eligible=%s AND job_db_inx>%s))"
    " AND deleted+0=0 ORDER BY time_end, time_eligible, job_db_inx"
)
# slurmctld itself takes no more than 4 MiB unless max_script_size says otherwise.
MAX_SCRIPT_BYTES: Final = 8 * 2**20


def run_columns(schema: Schema) -> str:
    """List the columns of a run in the order of rows.RunRow, none of them qualified."""
    return ", ".join(
        f"CAST(`{column}` AS BINARY)" if column in TEXT else f"`{column}`" if schema.has("job", column) else missing
        for column, missing in RUN_COLUMNS.items()
    )


def packed_columns(schema: Schema) -> str:
    """List the columns of a run for rows.unpack: all numbers as one text, and each text.

    A driver written in Python takes its time for each column. No column of a number can be NULL.
    """
    numbers = (
        f"`{column}`" if schema.has("job", column) else missing
        for column, missing in RUN_COLUMNS.items()
        if column not in TEXT
    )
    texts = (f"CAST(`{column}` AS BINARY)" for column in RUN_COLUMNS if column in TEXT)
    return f"CONCAT_WS(',', {', '.join(numbers)}), {', '.join(texts)}"


def _fingerprint(schema: Schema) -> str:
    """Make a number of a row's columns and key that changes when a column does, NULL being as good as empty.

    CRC32, for servers in FIPS mode have no MD5: one change in 4 billion goes unseen until the row is swept. It is
    multiplied by an odd number made of the key: the same change in two rows changes both CRC32 by the same bits, which
    the XOR over a block would cancel out. Less than 2⁶⁴.
    """
    columns = (
        f"IFNULL(CAST(`{column}` AS BINARY),'')" if column in TEXT else f"`{column}`"
        for column in RUN_COLUMNS
        if column != "job_db_inx" and schema.has("job", column)
    )
    return f"CRC32(CONCAT_WS('|', {', '.join(columns)}))*(CRC32(`job_db_inx`)|1)"


def open_blocks(schema: Schema) -> str:
    """Select the number of rows and the XOR of fingerprints of each block of open rows: cost = open rows.

    Served by an index that begins with time_end; the table of blocks is small and in memory, and is not sorted.
    """
    return (
        f"SELECT `job_db_inx` MOD {BLOCKS}, COUNT(*), BIT_XOR({_fingerprint(schema)}) FROM {schema.table('job')}"  # noqa: S608
        " WHERE time_end=0 AND deleted+0=0 GROUP BY 1 ORDER BY NULL"
    )


def open_keys(schema: Schema, blocks: int | None = None) -> str:
    """Select key and fingerprint of the open rows, in some blocks only: as many parameters, at most MAX_BLOCKS.

    Key and block are known from the index alone: of the other blocks no row is read.
    """
    within = "" if blocks is None else f" AND ({_in_blocks(blocks)})"
    return (
        f"SELECT `job_db_inx`, {_fingerprint(schema)} FROM {schema.table('job')}"  # noqa: S608
        f" WHERE time_end=0{within} AND deleted+0=0"
    )


def _in_blocks(count: int) -> str:
    """Write the condition that a key is in one of some blocks, by several lists where they are many."""
    sizes = [min(_MAX_IN, count - begin) for begin in range(0, count, _MAX_IN)]
    return " OR ".join(f"`job_db_inx` MOD {BLOCKS} IN ({_places(size)})" for size in sizes)


def ended_keys(schema: Schema) -> str:
    """Select key, fingerprint, time_end and time_eligible of runs by end time, a chunk: parameters of `after`."""
    return (
        f"SELECT `job_db_inx`, {_fingerprint(schema)}, time_end, time_eligible"  # noqa: S608
        f" FROM {schema.table('job')} WHERE {_ENDED_AFTER} LIMIT {CHUNK_KEYS}"
    )


def ended_runs(schema: Schema) -> str:
    """Select runs by end time, a chunk: parameters of `after`."""
    return (
        f"SELECT {run_columns(schema)} FROM {schema.table('job')}"  # noqa: S608
        f" WHERE {_ENDED_AFTER} LIMIT {CHUNK_RUNS}"
    )


def after(time_end: int, time_eligible: int, key: int, before: int) -> tuple[int, ...]:
    """Give the parameters for the chunk that follows a row: of those that end before `before`, in the index's order.

    The first chunk follows (since, 0, 0), for no key is 0.
    """
    return time_end, before, time_end, time_eligible, time_eligible, key


def newest(schema: Schema) -> str:
    """Select the largest key and the latest end before a time, the parameter: the ends of two indexes."""
    table = schema.table("job")
    return f"SELECT MAX(job_db_inx), (SELECT MAX(time_end) FROM {table} WHERE time_end<%s) FROM {table}"  # noqa: S608


def written_after(schema: Schema) -> str:
    """Select when the row after a key and that with the next end were written: parameters (key, end, before).

    mod_time is no cursor, but says when slurmdbd wrote a row that an index has found.
    """
    table = schema.table("job")
    return (
        f"(SELECT mod_time FROM {table} WHERE job_db_inx>%s ORDER BY job_db_inx LIMIT 1) UNION ALL"  # noqa: S608
        f" (SELECT mod_time FROM {table} WHERE time_end>%s AND time_end<%s ORDER BY time_end, time_eligible LIMIT 1)"
    )


def runs_of_keys(schema: Schema, count: int) -> str:
    """Select packed runs with their fingerprints by primary key: `count` parameters, at most CHUNK_RUNS."""
    return (
        f"SELECT {packed_columns(schema)}, {_fingerprint(schema)} FROM {schema.table('job')}"  # noqa: S608
        f" WHERE `job_db_inx` IN ({_places(count)}) AND deleted+0=0"
    )


def question(table: str, at: float) -> Question:
    """Say where runs are read, and how to look at the same rows of one job."""
    return Question(
        "slurmacct", f"rows of {table}", at,
        of_job=lambda job_id, _: f"SELECT * FROM {table} WHERE id_job={job_id} AND deleted=0",  # noqa: S608
    )  # fmt: skip


def runs_since(schema: Schema, count: int) -> str:
    """Select packed runs with their fingerprints by job id and least submit time: `count` ids and a time.

    Served by the unique index (id_job, time_submit), which outlives an upgrade that gives the rows other keys.
    """
    return (
        f"SELECT {packed_columns(schema)}, {_fingerprint(schema)} FROM {schema.table('job')}"  # noqa: S608
        f" WHERE `id_job` IN ({_places(count)}) AND time_submit>=%s AND deleted+0=0"
    )


def _places(count: int) -> str:
    return ", ".join(["%s"] * count)


def _runs_where(schema: Schema, condition: str) -> str:
    return (
        f"(SELECT {run_columns(schema)} FROM {schema.table('job')} WHERE {condition} AND deleted+0=0"  # noqa: S608
        f" ORDER BY job_db_inx DESC LIMIT {MAX_RUNS_OF_ID})"
    )


def runs_of_id(schema: Schema) -> str:
    """Select the runs of a plain id, as a job, an array or a heterogeneous job: parameters (id, id, id).

    Three arms, each served by its own index; an OR over the three columns would need an index merge.
    """
    columns = ("id_job", "id_array_job", "het_job_id")
    arms = [_runs_where(schema, f"`{column}`=%s") for column in columns if schema.has("job", column)]
    return " UNION ".join(arms)


def runs_of_array_task(schema: Schema) -> str:
    """Select the runs of one array task: parameters (array's id, task)."""
    return _runs_where(schema, "id_array_job=%s AND id_array_task=%s")


def runs_of_component(schema: Schema) -> str:
    """Select the runs of one component of a heterogeneous job: parameters (leader's id, offset)."""
    return _runs_where(schema, "het_job_id=%s AND het_job_offset=%s")


def script(schema: Schema) -> str | None:
    """Select the job script of one run: parameters (cut after bytes, job_db_inx); None where the schema has none.

    By the run's own row, never by hash: users who submit the same script share one row of the script table.
    """
    if schema.has("job_script", "batch_script") and schema.has("job", "script_hash_inx"):
        return (
            f"SELECT LEFT(CAST(script.batch_script AS BINARY), %s) FROM {schema.table('job')} job"  # noqa: S608
            f" JOIN {schema.table('job_script')} script ON script.hash_inx=job.script_hash_inx"
            " WHERE job.job_db_inx=%s AND job.script_hash_inx<>0 LIMIT 1"
        )
    if schema.has("job", "batch_script"):
        return (
            f"SELECT LEFT(CAST(batch_script AS BINARY), %s) FROM {schema.table('job')}"  # noqa: S608
            " WHERE job_db_inx=%s LIMIT 1"
        )
    return None


# The TRES that Slurm itself defines have the same ids everywhere.
STATIC_TRES: Final = (
    (1, b"cpu", b""), (2, b"mem", b""), (3, b"energy", b""), (4, b"node", b""), (5, b"billing", b""),
    (6, b"fs", b"disk"), (7, b"vmem", b""), (8, b"pages", b""),
)  # fmt: skip
TRES: Final = "SELECT id, CAST(type AS BINARY), CAST(name AS BINARY) FROM tres_table"
ACCOUNTS: Final = "SELECT CAST(name AS BINARY), CAST(organization AS BINARY) FROM acct_table WHERE deleted=0"
