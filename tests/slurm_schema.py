"""Create slurmdbd's tables of any release in a real database, from the extracted schemas."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from aggregator.sources.slurmacct.features import features_of
from aggregator.sources.slurmacct.schema import Schema
from tests.lab.mariadb import MariaDB

_FILE = Path(__file__).parent / "data" / "slurmacct_schemas.json"
_OF_A_CLUSTER = "<cluster>"
_EXPRESSIONS = frozenset({"CURRENT_TIMESTAMP", "NULL"})


@cache
def schemas() -> dict[str, dict[str, Any]]:
    """Release → table → columns and keys."""
    content: dict[str, dict[str, Any]] = json.loads(_FILE.read_text())
    return content


def columns_of(release: str, cluster: str) -> Schema:
    """Give a release's schema as the source sees it where every table is granted."""
    logical = {name.removeprefix(f"{_OF_A_CLUSTER}_").removesuffix("_table"): name for name in schemas()[release]}
    return Schema(cluster, {name: frozenset(schemas()[release][table]["columns"]) for name, table in logical.items()})


@cache
def features_by_release() -> dict[str, dict[str, bool]]:
    """Release → feature → whether it has it."""
    return {release: features_of(columns_of(release, "any")) for release in sorted(schemas())}


def create_tables(mariadb: MariaDB, database: str, release: str, cluster: str, charset: str = "utf8mb4") -> None:
    """Make a database as slurmdbd of `release` makes it, with one registered cluster."""
    # slurmdbd's own sessions are not strict: columns without a default are filled, long text is cut.
    mariadb.execute("SET GLOBAL sql_mode='NO_ENGINE_SUBSTITUTION'")
    mariadb.execute(f"DROP DATABASE IF EXISTS `{database}`")
    mariadb.create_database(database, charset)
    for name, table in schemas()[release].items():
        if not name.startswith(_OF_A_CLUSTER):
            mariadb.execute(_create(name, table), database)
    add_cluster(mariadb, database, release, cluster)


def add_cluster(mariadb: MariaDB, database: str, release: str, cluster: str) -> None:
    """Register one cluster more, with tables of its own."""
    for name, table in schemas()[release].items():
        if name.startswith(_OF_A_CLUSTER):
            mariadb.execute(_create(name.replace(_OF_A_CLUSTER, cluster), table), database)
    # Not registered twice: names are compared whatever their case.
    mariadb.execute(
        "INSERT IGNORE INTO cluster_table SET name=%s, features='', federation='', fed_state=0", database, [cluster]
    )


def _create(name: str, table: dict[str, Any]) -> str:
    body = ", ".join((*_columns(table), *_keys(table)))
    return f"CREATE TABLE `{name}` ({body}) ENGINE=InnoDB"


def _columns(table: dict[str, Any]) -> Iterator[str]:
    for name, column in table["columns"].items():
        default = column.get("default")
        yield " ".join(
            (
                f"`{name}`",
                column["type"],
                "" if column["nullable"] else "NOT NULL",
                "AUTO_INCREMENT" if column.get("auto_increment") else "",
                ""
                if default is None
                else f"DEFAULT {default if default.upper() in _EXPRESSIONS else repr(str(default))}",
            )
        )


def _keys(table: dict[str, Any]) -> Iterator[str]:
    if table["primary"]:
        yield f"PRIMARY KEY ({_list(table['primary'])})"
    for key in table["unique"]:
        yield f"UNIQUE KEY {key['name'] or ''} ({_list(key['columns'])})"
    for name, columns in table["indexes"].items():
        yield f"KEY `{name.strip('`')}` ({_list(columns)})"


def _list(columns: list[str]) -> str:
    """Quote the columns, keeping the length of a prefix such as `name(42)`."""
    parts = (column.replace("`", "").partition("(") for column in columns)
    return ", ".join(f"`{name}`{opening}{length}" for name, opening, length in parts)
