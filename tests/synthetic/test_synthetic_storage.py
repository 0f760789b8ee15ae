import polars as pl
import pytest

from aggregator.model.storage import SIZE_BIN_EDGES, Allocations, FilesystemUsage
from aggregator.sources.base import Source
from aggregator.synthetic import SyntheticAllocations, SyntheticCluster, SyntheticStorage
from aggregator.synthetic.storage import make_owners, synthetic_allocations
from tests.unit.parts.storage.owners import join, rows, used

START = 1_800_000_900.0


@pytest.fixture(scope="module")
def cluster() -> SyntheticCluster:
    return SyntheticCluster(start=START)


@pytest.mark.parametrize(("filesystem", "hsm"), [("project", True), ("scratch", False)])
async def test_joined_storage_is_trusted(cluster: SyntheticCluster, filesystem: str, hsm: bool) -> None:
    source: Source[FilesystemUsage] = SyntheticStorage(cluster, filesystem)
    usage = await source.fetch(START)
    frames = join(usage, quotas=synthetic_allocations(cluster).quotas[filesystem], hsm=hsm)
    assert (source.name, source.rows, source.features["hsm"]) == ("robinhood", len(usage.entries), hsm)
    assert rows(frames, "filesystem")[0]["untrusted_profiles"] == 0
    assert set(frames["groups"]["group"]) == set(cluster.population.groups)
    assert all(("tape" in used(row)) == hsm for row in rows(frames, "groups"))
    assert set(frames["group_hsm"]["group"]) == (set(cluster.population.groups) if hsm else set())


async def test_entries_are_consistent(cluster: SyntheticCluster) -> None:
    usage = await SyntheticStorage(cluster).fetch(START)
    files = usage.entries.filter(pl.col("type") == "file")
    assert files.select((pl.col("size_bins").list.len() == len(SIZE_BIN_EDGES) + 1).all()).item()
    assert files.select((pl.col("size_bins").list.sum() == pl.col("inodes")).all()).item()
    released = files.filter(pl.col("hsm_state") == "released")
    assert released.select(((pl.col("disk_bytes") == 0) & (pl.col("size_bytes") > 0)).all()).item()
    assert set(files["hsm_state"]) == {
        "new", "modified", "archiving", "synchro", "retrieving", "released",
    }  # fmt: skip
    assert usage.updated is not None
    assert usage.updated <= START
    assert usage.path == "/project"


async def test_keys_of_acct_stat_are_unique(cluster: SyntheticCluster) -> None:
    entries = (await SyntheticStorage(cluster).fetch(START)).entries
    assert entries.select("user", "group", "type", "hsm_state").is_unique().all()


async def test_one_user_is_an_unresolved_number(cluster: SyntheticCluster) -> None:
    users = set((await SyntheticStorage(cluster, "scratch").fetch(START)).entries["user"])
    assert len([user for user in users if user.isdecimal()]) == 1
    assert users - {user.name for user in cluster.population.users} == {"3047112"}


async def test_space_grows_slowly(cluster: SyntheticCluster) -> None:
    source = SyntheticStorage(cluster)
    sizes = [(await source.fetch(START + day * 86_400)).entries["size_bytes"].sum() for day in (0, 1, 30)]
    assert sizes[0] < sizes[1] < sizes[0] * 1.05
    assert sizes[1] < sizes[2] < sizes[0] * 2


async def test_one_group_is_nearly_full(cluster: SyntheticCluster) -> None:
    usage = await SyntheticStorage(cluster).fetch(START)
    frames = join(usage, quotas=synthetic_allocations(cluster).quotas["project"], hsm=True)
    filled = frames["groups"]["quota_used_ratio_bytes"].to_list()
    assert len([ratio for ratio in filled if ratio > 0.95]) == 1
    assert max(filled) < 1.0


def test_awards_are_of_accounts_of_the_tree(cluster: SyntheticCluster) -> None:
    awards = synthetic_allocations(cluster).awards
    assert awards
    assert awards.keys() <= cluster.population.accounts.keys()
    assert any(award.cpus for award in awards.values())
    assert any(award.gpus for award in awards.values())


async def test_allocations_are_a_source(cluster: SyntheticCluster) -> None:
    source: Source[Allocations] = SyntheticAllocations(cluster)
    fetched = await source.fetch(START + 5)
    assert fetched.time == START + 5
    assert fetched.awards == synthetic_allocations(cluster).awards
    assert fetched.quotas.keys() == {"project", "scratch"}
    assert source.rows == sum(map(len, fetched.quotas.values())) + len(fetched.awards)
    assert (source.name, source.features) == ("allocations", {})


def test_members_of_a_numbered_group_own_nothing_in_the_group_it_is_named_after() -> None:
    """Large clusters have `def-roy` and `def-roy2`."""
    large = SyntheticCluster(nodes=10, gpu_nodes=0, running=10_000, start=START)
    charged = {user.name: user.accounts for user in large.population.users}
    assert any(group.endswith("2") for group in large.population.groups)
    for owner in make_owners(large, "scratch"):
        for account in charged.get(owner.user, ())[:1]:
            assert account.partition("-")[2].partition("-")[0] == owner.group.partition("-")[2].partition("-")[0]
