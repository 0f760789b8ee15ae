"""Unknown and zero are told apart in every table: what rests on an unknown value is not there, what is 0 is.

Cells of inputs in which everything is known are made unknown, or 0, at random, and every cell of every table is
compared with that of the untouched inputs. A cell is a field of the API and, where its column has a family, a sample.
"""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Any, Final

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.app.layouts import CLOUDS, CLUSTERS, FILESYSTEMS
from aggregator.engine.frame import Frames
from aggregator.engine.part import Inputs, Layout
from aggregator.model.cloud import RATES
from aggregator.model.job_inputs import Use
from aggregator.model.node_inputs import HOSTS, Hosts, Scheduler
from aggregator.model.storage import QUOTA_COUNTS, Allocations, QuotaCounts, StorageQuota
from aggregator.parts.cloud.inputs import Cloud
from aggregator.parts.storage.inputs import Filesystem
from tests.builders import NOW, make_entry, make_usage
from tests.clouds import rich_cloud_use
from tests.clusters import rich_inputs
from tests.nulls import Cell, cells_of, frames_of, with_cells

# Columns of inputs that name what a row is of: with another name it is a row of another thing.
NAMES: Final = frozenset((
    "run_id", "job_id", "user", "account", "node", "partition", "qos", "qos_id", "association_id", "uid", "parent",
    "deleted", "filesystem", "limit", "tres", "window", "component", "currency", "state", "flags", "group", "type",
    "hsm_state", "owner", "uuid", "project", "instance_name", "hypervisor", "reason",
))  # fmt: skip
# Frame and column → what null says there: it is no unknown value.
SAYS: Final[Mapping[tuple[str, str], str]] = {
    ("Runs.runs", "start"): "it has not started",
    ("Runs.runs", "end"): "it has not ended",
    **{
        ("Runs.runs", name): "never null: what tres_alloc does not name is none of it, and times of 0 are no times"
        for name in ("pending_tasks", "suspended_seconds", "granted_gpus", "granted_gpus_by_type", "nodes")
    },
    ("Associations.rows", "shares"): "it has its parent's",
    ("Associations.organizations", "organization"): "it has none",
    **{
        (f"UsageSums.left.{name}", "seconds"): "never null: sums, and what nobody has used has no row"
        for name in ("accounts", "associations")
    },
    **{
        ("FilesystemUsage.entries", name): "never null: sums over columns that are not"
        for name in ("size_bytes", "disk_bytes", "inodes")
    },
    ("FilesystemUsage.entries", "size_bins"): "the bins do not add up",
    **{
        ("QuotaCounts.counts", f"{kind}_{name}"): "there is no such limit: the hard one, or another source's counts"
        for kind in ("soft", "hard")
        for name in ("bytes", "inodes")
    },
}
_COVERAGE: Final = "says how much is known"
_JUDGED: Final = "of the instances that are judged; `judged` says how many"
_SEEN: Final = "of the nodes that show it; the coverage says how many"
_SHOWN_GPUS: Final = "of the GPUs of which it is known; the coverage says how many"
_JOBS: Final = "of the jobs of which it is known; the coverage says what part"
_MEASURED: Final = "as far as it was measured"
_OWNERS: Final = ("users", "accounts")
# Table and column → why it may be less where something is not known: it adds up what is known.
ADDS_UP: Final[Mapping[tuple[str, str], str]] = {
    **{
        (table, f"{name}_coverage_ratio"): _COVERAGE
        for table in ("jobs", *_OWNERS)
        for name in ("cpu", "memory", "gpu")
    },
    **{("jobs", name): _SEEN for name in ("used_cpus", "memory_used_bytes", "running_threads")},
    **{("jobs", name): _SHOWN_GPUS for name in ("gpus_judged", "gpus_busy", "gpu_memory_used_bytes")},
    ("jobs", "lustre_bytes_per_second"): "of reading and writing, which have series of their own",
    **{
        (table, name): _JOBS
        for table in _OWNERS
        for name in ("used_cpus", "used_memory_bytes", "used_gpus", "busy_gpus", "wasted_cpus")
    },
    **{(table, "power_watts"): _MEASURED for table in _OWNERS},
    **{
        ("cluster_energy", f"{whose}_{unit}"): _MEASURED
        for whose in ("jobs", "idle", "unattributed")
        for unit in ("watts", "joules")
    },
    **{
        (f"{of}_energy", f"wasted_{name}"): _MEASURED
        for of in ("account", "cluster")
        for name in ("cpu_seconds_total", "gpu_seconds_total", "energy_joules_total")
    },
    **{(f"{of}_costs", "wasted_amount"): _MEASURED for of in ("account", "cluster")},
    **{
        ("cluster_lustre", name): "of what has series"
        for name in ("read_bytes_per_second", "write_bytes_per_second", "metadata_operations_per_second")
    },
    **{("nodes", name): "of the jobs of which it is known" for name in ("allocated_cpus", "allocated_memory_bytes")},
    ("nodes", "used_gpus"): "of the GPUs of which it is known",
    **{(table, name): "of the instances of which it is known" for table in ("cloud", "projects") for name in RATES},
    **{(table, "judged"): _COVERAGE for table in ("cloud", "projects")},
    **{(table, "memory_coverage_ratio"): _COVERAGE for table in ("cloud", "projects")},
    **{
        (table, f"idle_{name}"): _JUDGED
        for table in ("cloud", "projects")
        for name in ("instances", "vcpus", "memory_bytes")
    },
    ("instances", "coverage_ratio"): _COVERAGE,
}  # fmt: skip
# What says how much is known may be 0, and so may what adds up the idle ones of those that are known.
MAY_BE_0: Final = {key for key, reason in ADDS_UP.items() if reason in (_COVERAGE, _JUDGED)} | {("jobs", "gpus_judged")}
# A mean over what is known may also be more.
MEANS: Final = frozenset({("jobs", "gpu_utilization_ratio")})
# What is said in words may change.
WORDS: Final = frozenset({("instances", "idle_because"), ("account_tree", "fairshare_source")})
# Frame and column → why what is shown is not there where it is 0.
NOT_0: Final[Mapping[tuple[str, str], str]] = {
    ("Runs.runs", "submit"): "a time of 0 is no time",
    ("Runs.runs", "start"): "a time of 0 is no time",
    ("Runs.runs", "end"): "a time of 0 is no time",
    ("Runs.runs", "time_limit_seconds"): "of a limit of 0 there is no share",
    ("Runs.runs", "granted_cpus"): "no run has none: slurmdbd does not say",
    ("Runs.runs", "granted_memory_bytes"): "of nothing there is no share",
    ("Runs.runs", "granted_gpus"): "of a run without GPUs nothing is said about GPUs",
    ("LedgerView.totals.runs", "until"): "of a time of 0 there is no share",
    ("LedgerView.totals.runs", "gpu_seconds"): "of a time of 0 there is no share",
    ("LedgerView.totals.users", "until"): "who has not run anything for 30 days is not shown",
    ("AlertCounts.counts", "until"): "of whom nobody was told for 30 days is not shown",
    ("Associations.rows", "shares"): "of a level of 0 there is no share",
    ("UsageSums.left.accounts", "seconds"): "where nothing was used, the level is infinite",
    ("UsageSums.left.associations", "seconds"): "where nothing was used, the level is infinite",
    ("FilesystemUsage.entries", "inodes"): "who owns nothing any more is not shown",
    ("QuotaCounts.counts", "soft_bytes"): "of a limit of 0 there is no share",
    ("QuotaCounts.counts", "soft_inodes"): "of a limit of 0 there is no share",
    ("CloudUse.instances", "vcpus"): "of nothing there is no share",
    ("CloudUse.instances", "memory_bytes"): "of nothing there is no share",
    ("CloudUse.instances", "did_coverage"): "what was not seen is not judged",
}
Place = tuple[str, tuple[str, ...], str]


def _cluster() -> Iterator[object]:
    """Give inputs in which every number is above 0, and what is not said of nodes elsewhere."""
    sizes = {"cpus": 64.0, "cpus_allocated": 16.0, "cpus_idle": 48.0, "gpus": 4.0, "gpus_allocated": 3.0}
    memory = {"memory_bytes": 2.0**36, "memory_allocated_bytes": 2.0**35}
    shown = {
        "load1": 3.5, "cpus": 64.0, "resting_cpus": 40.0, "memory_total_bytes": 2.0**36, "scratch_bytes": 2.0**40,
        "memory_available_bytes": 2.0**35, "scratch_available_bytes": 2.0**39,
    }  # fmt: skip
    names = ("node01", "node02")
    for given_ in rich_inputs():
        if isinstance(given_, Use):
            assert given_.gpus is not None
            yield replace(given_, gpus=given_.gpus.with_columns(pl.col("utilization").replace(0.0, 0.25)))
        elif isinstance(given_, Scheduler):
            said = given_.nodes.with_columns(pl.Series("node", names), **{
                name: pl.lit(value) for name, value in (sizes | memory).items()})  # fmt: skip
            yield replace(given_, nodes=said)
        else:
            yield given_
    yield Hosts(time=NOW, frame=pl.DataFrame([{"node": name, **shown} for name in names], schema=HOSTS))


def _filesystem() -> Iterator[object]:
    """Give two groups with two users each, who have files on both tiers, and quotas of both sources."""
    kinds = (("file", "released"), ("file", ""), ("dir", ""))
    entries = [
        make_entry(group=group, user=user, type=kind, hsm_state=state)
        for group in ("def-kim", "def-lee")
        for user in ("alice", "bob")
        for kind, state in kinds
    ]
    count = {
        "used_bytes": 50, "used_inodes": 5, "soft_bytes": 100, "soft_inodes": 10, "hard_bytes": 120, "hard_inodes": 12,
        "in_doubt_bytes": 3, "in_doubt_inodes": 2,
    }  # fmt: skip
    counts = pl.DataFrame([{"owner": group, **count} for group in ("def-kim", "def-lee")], schema=QUOTA_COUNTS)
    quotas = dict.fromkeys(("def-kim", "def-lee"), StorageQuota(200, 20, 300, 30))
    yield Filesystem("project", hsm=True)
    yield make_usage(*entries)
    yield QuotaCounts(time=NOW, counts=counts, source="gpfs")
    yield Allocations(NOW, {"project": quotas})


LAYOUTS: Final[Mapping[str, tuple[Layout, tuple[object, ...]]]] = {
    "cluster": (CLUSTERS, tuple(_cluster())),
    "filesystem": (FILESYSTEMS, tuple(_filesystem())),
    "cloud": (CLOUDS, (Cloud("arbutus"), rich_cloud_use(), Allocations(NOW))),
}
# Each example joins everything.
half_as_many = settings(max_examples=settings.default.max_examples // 2)
every_layout = pytest.mark.parametrize("kind", LAYOUTS)


def column_of(cell: Cell) -> tuple[str, str]:
    return ".".join(cell.path), cell.column


@cache
def unknowable(kind: str) -> list[Cell]:
    """Give the cells of which null says that they are not known."""
    return [cell for cell in cells_of(LAYOUTS[kind][1]) if cell.column not in NAMES and column_of(cell) not in SAYS]


@cache
def numbers(kind: str) -> list[Cell]:
    """Give the cells that are numbers, and may be 0."""
    types = {
        (path, name): dtype
        for each in LAYOUTS[kind][1]
        for path, frame in frames_of(each)
        for name, dtype in frame.schema.items()
    }
    return [
        cell
        for cell in cells_of(LAYOUTS[kind][1])
        if cell.column not in NAMES and column_of(cell) not in NOT_0 and types[cell.path, cell.column].is_numeric()
    ]


def shown(kind: str, values: Mapping[Cell, Any]) -> dict[Place, Any]:
    """Join the inputs in which these cells have these values, and give what is known: of which row, in which column."""
    layout, inputs = LAYOUTS[kind]
    joined = layout.join(Inputs(*(with_cells(each, values) for each in inputs)), NOW)
    assert not joined.failed
    return dict(_known(layout, joined.frames))


@cache
def untouched(kind: str) -> Mapping[Place, Any]:
    return shown(kind, {})


def _known(layout: Layout, frames: Frames) -> Iterator[tuple[Place, Any]]:
    for name, frame in frames.items():
        key = _key(layout, name)
        assert frame.select(key).is_unique().all() or not key, name
        for row in frame.iter_rows(named=True):
            of = tuple(str(row[column]) for column in key)
            yield from (((name, of, column), value) for column, value in row.items() if value is not None)


def _key(layout: Layout, table: str) -> list[str]:
    """Give the columns that tell the rows of a table apart: its labels and those of its numbers, and the run."""
    declared = layout.tables[table]
    named = {*declared.labels.values(), "run_id", "gpu_type", "tres", "limit", "qos_id", "partition", "user", "account"}
    named |= {column for sample in declared.samples if not sample.constant for column in sample.label_columns.values()}
    named |= {"state", "type", "reason"} if table not in ("jobs", "nodes") else set()
    loose = {"jobs": {"partition"}, "account_tree": {"fairshare_source"}, "groups": {"quota_source"}}
    loose |= {"users": {"quota_source"}, "user_associations": {"fairshare_source"}}
    return [column for column in declared.schema if column in named - loose.get(table, set())]


def is_same(one: Any, other: Any) -> bool:
    both = isinstance(one, float) and isinstance(other, float)
    return bool(one == other or (both and math.isclose(one, other, rel_tol=1e-9)))


def of_columns(kind: str, columns: Collection[tuple[str, str]]) -> set[Cell]:
    return {cell for cell in unknowable(kind) if column_of(cell) in columns}


def some_unknown(kind: str) -> st.SearchStrategy[set[Cell]]:
    """Choose some cells, or all of some columns."""
    columns = sorted({column_of(cell) for cell in unknowable(kind)})
    whole = st.sets(st.sampled_from(columns), min_size=1, max_size=3)
    return st.sets(st.sampled_from(unknowable(kind)), min_size=1) | whole.map(partial(of_columns, kind))


@every_layout
@half_as_many
@given(data=st.data())
def test_what_rests_on_an_unknown_value_is_not_there(kind: str, data: st.DataObject) -> None:
    before = untouched(kind)
    for place, value in shown(kind, dict.fromkeys(data.draw(some_unknown(kind)))).items():
        column = place[0], place[2]
        if column in WORDS:
            continue
        assert place in before, f"{place} is {value}, and was not known"
        if is_same(value, before[place]):
            continue
        assert column in ADDS_UP or column in MEANS, f"{place} is {value}, and was {before[place]}"
        assert value < before[place] or column in MEANS, f"{place} is {value}, and was {before[place]}"
        assert value > 0 or column in MAY_BE_0, f"{place} is {value}, and was {before[place]}"


@every_layout
@half_as_many
@given(data=st.data())
def test_what_is_0_is_there(kind: str, data: st.DataObject) -> None:
    cells = data.draw(st.sets(st.sampled_from(numbers(kind)), min_size=1))
    lost = untouched(kind).keys() - shown(kind, dict.fromkeys(cells, 0)).keys()
    assert not [place for place in lost if (place[0], place[2]) not in WORDS]
