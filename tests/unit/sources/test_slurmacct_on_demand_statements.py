"""The statements that are sent on demand: they only read, are bounded, and hold no text of anybody."""

import re

import pytest

from aggregator.sources.slurmacct import details, events, history, statements, steps, users
from aggregator.sources.slurmacct.schema import REQUIRED, Schema

_NEW_JOB = frozenset(statements.RUN_COLUMNS) | {"deleted", "submit_line", "exit_code", "kill_requid", "id_resv"}
NEW = Schema("narval", {"job": _NEW_JOB, "step": frozenset(steps.STEP_COLUMNS)})
OLD = Schema("narval", {"job": REQUIRED["job"], "step": frozenset({"id_step"})})
EVERY = {
    f"{name} {release}": sql
    for release, schema in (("new", NEW), ("old", OLD))
    for name, sql in {
        "first chunk": history.ended_chunk(schema, by_user=False, after=False),
        "next chunk of a user": history.ended_chunk(schema, by_user=True, after=True),
        "array": history.array_runs(schema),
        "name": history.runs_of_name(schema),
        "uids": history.uids_of_associations(schema, 3),
        "names of uids": users.newest_associations(schema, 3),
        "steps": steps.steps(schema),
        "facts": steps.facts(schema),
        "events": events.events(schema, 2),
        "reservation": events.reservation(schema),
        "reservations": events.reservations(schema),
        "registered nodes": events.registered_nodes(schema),
        "own line": details.own_line(schema),
        "user's lines": details.user_lines(schema),
        "tasks": details.array_tasks(schema),
    }.items()
}
EVERY["gpu tres"] = steps.GPU_TRES[0]
every_statement = pytest.mark.parametrize("sql", EVERY.values(), ids=EVERY.keys())


@every_statement
def test_a_statement_only_reads_takes_no_lock_and_counts_nothing(sql: str) -> None:
    assert re.match(r"\(?SELECT ", sql)
    assert not re.search(
        r"\b(INSERT|UPDATE|DELETE|DROP|ALTER|SET|LOCK|FOR UPDATE|INTO|CALL|COUNT|OFFSET|GROUP BY|REGEXP|LIKE|env)\b",
        sql,
        re.IGNORECASE,
    )


@every_statement
def test_a_statement_is_bounded_and_holds_no_text_of_anybody(sql: str) -> None:
    """Each arm of it has its own limit; the end of an index is one row."""
    selects = len(re.findall(r"\bSELECT\b", sql))
    joined_to_a_bounded_one = len(re.findall(r"FROM \(+SELECT", sql))
    ends_of_an_index = len(re.findall(r"\(SELECT MAX\(", sql))
    cut_once_more = len(re.findall(r"LIMIT [0-9]+$", sql)) if joined_to_a_bounded_one else 0
    assert sql.count("LIMIT") == selects - joined_to_a_bounded_one - ends_of_an_index + cut_once_more
    assert re.findall(r"'[^']*'", sql.replace("''", "").replace("CONCAT_WS(',',", "")) == []
    assert ";" not in sql
    assert "--" not in sql
    assert sql.replace("%s", "").count("%") == 0
