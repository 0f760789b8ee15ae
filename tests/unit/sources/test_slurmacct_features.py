"""Features are told by columns, and by nothing else."""

import pytest

from aggregator.sources.slurmacct.features import FEATURES, features_of
from aggregator.sources.slurmacct.schema import REQUIRED, Schema
from tests.slurm_schema import columns_of, features_by_release, schemas

NEWEST = max(schemas())


def without(schema: Schema, table: str, column: str) -> Schema:
    return Schema(schema.cluster, {**schema.columns, table: schema.columns[table] - {column}})


def test_the_newest_release_has_every_feature() -> None:
    assert all(features_by_release()[NEWEST].values())


def test_a_schema_of_the_required_columns_alone_has_none() -> None:
    assert features_of(Schema("narval", REQUIRED)) == dict.fromkeys(FEATURES, False)


def test_every_column_of_a_feature_is_needed() -> None:
    newest = columns_of(NEWEST, "narval")
    for name, choices in FEATURES.items():
        present = next(columns for columns in choices if all(newest.has(*column) for column in columns))
        for table, column in present:
            assert not features_of(without(newest, table, column))[name], (name, table, column)


@pytest.mark.parametrize(
    ("release", "scripts", "plan"),
    [("20.11", False, True), ("21.08", True, True), ("22.05", True, True), (NEWEST, True, True)],
)
def test_what_moved_or_was_renamed_is_the_same_feature(release: str, scripts: bool, plan: bool) -> None:
    features = features_by_release()[release]
    assert (features["scripts"], features["usage_plan"]) == (scripts, plan)


def test_scripts_need_their_own_table_from_22_05_on() -> None:
    """A site that does not grant it gets no scripts, and no error."""
    schema = columns_of("22.05", "narval")
    granted = Schema("narval", {name: columns for name, columns in schema.columns.items() if name != "job_script"})
    assert not features_of(granted)["scripts"]
