import re

import pytest

from aggregator.sources.slurmacct import associations, statements
from aggregator.sources.slurmacct.rows import PACKED, RunRow
from aggregator.sources.slurmacct.schema import REQUIRED, Schema
from tests.slurm_schema import schemas

NEW = Schema("narval", {"job": frozenset(statements.RUN_COLUMNS) | {"deleted"}, "assoc": REQUIRED["assoc"]})
OLD = Schema("narval", {"job": REQUIRED["job"], "assoc": REQUIRED["assoc"]})
SCHEMAS = (("new", NEW), ("old", OLD))
OF_RUNS = (statements.ended_runs, statements.runs_of_id)
OF_KEYS = (statements.open_blocks, statements.open_keys, statements.ended_keys)
COUNTED = (statements.runs_of_keys, statements.runs_since)
IN_BLOCKS = {f"open_keys in blocks {name}": statements.open_keys(schema, 3) for name, schema in SCHEMAS}
EVERY = {
    **{f"{make.__name__} {name}": make(schema) for make in (*OF_RUNS, *OF_KEYS) for name, schema in SCHEMAS},
    **{f"{make.__name__} {name}": make(schema, 3) for make in COUNTED for name, schema in SCHEMAS},
    **IN_BLOCKS,
    "task": statements.runs_of_array_task(NEW),
    "component": statements.runs_of_component(NEW),
    "associations": associations.associations(NEW),
    "tres": statements.TRES,
    "qos": associations.qos(NEW),
    "accounts": statements.ACCOUNTS,
}
every_statement = pytest.mark.parametrize("sql", EVERY.values(), ids=EVERY.keys())


@every_statement
def test_a_statement_holds_no_text_of_anybody(sql: str) -> None:
    """Values are parameters: the only literals are the empty text and Slurm's own numbers."""
    assert set(re.findall(r"'[^']*'", sql.replace("''", ""))) <= {"'|'", "','"}
    assert '"' not in sql
    assert ";" not in sql
    assert "--" not in sql
    limits = {str(statements.MAX_RUNS_OF_ID), str(statements.CHUNK_KEYS), str(statements.CHUNK_RUNS)}
    limits |= {str(statements.BLOCKS), "1"}
    assert set(re.findall(r"(?<!id)(?<![\w`])\d+", sql)) <= {"0", "4294967294", *limits}
    assert sql.replace("%s", "").count("%") == 0


@every_statement
def test_a_statement_only_reads_and_takes_no_lock(sql: str) -> None:
    assert re.match(r"\(?SELECT ", sql)
    assert not re.search(r"\b(INSERT|UPDATE|DELETE|DROP|ALTER|SET|LOCK|FOR UPDATE|INTO|CALL)\b", sql, re.IGNORECASE)


@every_statement
def test_a_statement_reads_slurms_tables_only(sql: str) -> None:
    tables = set(re.findall(r"FROM (\S+)", sql))
    assert tables <= {"`narval_job_table`", "`narval_assoc_table`", "tres_table", "qos_table", "acct_table"}


@pytest.mark.parametrize("schema", [NEW, OLD], ids=["new", "old"])
@pytest.mark.parametrize("make", OF_RUNS)
def test_runs_are_selected_in_the_order_of_their_row(make: object, schema: Schema) -> None:
    columns = re.findall(r"SELECT (.*?) FROM", make(schema))  # type: ignore[operator]
    for selected in columns:
        names = [
            re.sub(r"CAST\(`(\w+)` AS BINARY\)|`(\w+)`", r"\1\2", column) for column in selected.split(", ")
        ]  # fmt: skip
        assert len(names) == len(RunRow._fields)
        for name, field in zip(names, RunRow._fields, strict=True):
            assert name in (field, statements.RUN_COLUMNS[field])
    assert tuple(statements.RUN_COLUMNS) == RunRow._fields


@pytest.mark.parametrize("schema", [NEW, OLD], ids=["new", "old"])
@pytest.mark.parametrize("make", COUNTED)
def test_packed_runs_are_selected_in_the_order_that_they_are_unpacked_in(make: object, schema: Schema) -> None:
    selected = re.sub(r"CAST\((`\w+`) AS BINARY\)", r"\1", make(schema, 1))  # type: ignore[operator]
    (columns,) = re.findall(r"SELECT CONCAT_WS\(',', (.*), CRC32\(.* FROM", selected)
    names = columns.replace(")", "").replace("`", "").split(", ")
    assert len(names) == len(PACKED)
    for name, field in zip(names, PACKED, strict=True):
        assert name in (field, statements.RUN_COLUMNS[field])
    assert columns.count(")") == 1
    assert columns.split(")")[0].count(",") == len(PACKED) - len(statements.TEXT) - 1


@pytest.mark.parametrize("release", sorted(schemas()))
def test_no_number_is_null_in_any_release(release: str) -> None:
    """CONCAT_WS leaves NULL out, so that the numbers behind it would be other columns'."""
    columns = schemas()[release]["<cluster>_job_table"]["columns"]
    numbers = [columns[name] for name in PACKED if name in columns and name not in statements.TEXT]
    assert not any(column["nullable"] for column in numbers)
    assert all("int" in column["type"] for column in numbers)


def test_columns_that_a_release_lacks_are_replaced() -> None:
    sql = statements.ended_runs(OLD)
    assert "het_job_id" not in sql
    assert sql.count("4294967294") == 2


@pytest.mark.parametrize("make", OF_KEYS)
def test_a_fingerprint_is_of_every_column_that_is_read_and_there(make: object) -> None:
    """A column that is left out could change without being read again."""
    for schema in (NEW, OLD):
        (fingerprint,) = re.findall(r"CRC32\(CONCAT_WS\('\|', (.*?)\)\)", make(schema))  # type: ignore[operator]
        columns = re.findall(r"`(\w+)`", fingerprint)
        assert columns == [name for name in statements.RUN_COLUMNS if schema.has("job", name) and name != "job_db_inx"]


@pytest.mark.parametrize(("sql", "parameters"), [(EVERY["ended_runs new"], 6), (EVERY["ended_keys old"], 6),
                                                 (EVERY["runs_of_keys new"], 3), (EVERY["runs_since new"], 4),
                                                 (EVERY["runs_of_id new"], 3),
                                                 (EVERY["runs_of_id old"], 1), (EVERY["task"], 2),
                                                 (EVERY["component"], 2), (EVERY["open_keys new"], 0),
                                                 (EVERY["open_blocks new"], 0),
                                                 (EVERY["open_keys in blocks new"], 3)])  # fmt: skip
def test_a_statement_has_a_place_for_each_parameter(sql: str, parameters: int) -> None:
    assert sql.count("%s") == parameters


def test_a_schema_knows_its_columns() -> None:
    assert NEW.has("job", "het_job_id")
    assert not OLD.has("job", "het_job_id")
    assert not OLD.has("nothing", "id")
    assert NEW.table("job") == "`narval_job_table`"
