import pytest

from aggregator.join.storage import join_storage
from aggregator.model.storage import SIZE_BIN_EDGES, Allocations, FilesystemUsage
from aggregator.sources.base import Source
from aggregator.synthetic import SyntheticAllocations, SyntheticCluster, SyntheticStorage
from aggregator.synthetic.storage import make_owners, synthetic_allocations

START = 1_800_000_900.0


@pytest.fixture(scope="module")
def cluster() -> SyntheticCluster:
    return SyntheticCluster(start=START)


@pytest.mark.parametrize(("filesystem", "hsm"), [("project", True), ("scratch", False)])
async def test_joined_storage_is_trusted(cluster: SyntheticCluster, filesystem: str, hsm: bool) -> None:
    source: Source[FilesystemUsage] = SyntheticStorage(cluster, filesystem)
    usage = await source.fetch(START)
    view = join_storage(usage, hsm, synthetic_allocations(cluster).quotas[filesystem], "file")
    assert (source.name, source.rows, source.features["hsm"]) == ("robinhood", len(usage.entries), hsm)
    assert view.untrusted_profiles == 0
    assert {space.group for space in view.groups} == set(cluster.population.groups)
    assert all(("tape" in space.used_bytes) == hsm for space in view.groups)
    assert all(bool(space.hsm_bytes) == hsm for space in view.groups)


async def test_entries_are_consistent(cluster: SyntheticCluster) -> None:
    usage = await SyntheticStorage(cluster).fetch(START)
    files = [entry for entry in usage.entries if entry.type == "file"]
    assert all(len(entry.size_bins) == len(SIZE_BIN_EDGES) + 1 for entry in files)
    assert all(sum(entry.size_bins) == entry.inodes for entry in files)
    assert all(entry.disk_bytes == 0 < entry.size_bytes for entry in files if entry.hsm_state == "released")
    assert {entry.hsm_state for entry in files} == {
        "new", "modified", "archiving", "synchro", "retrieving", "released",
    }  # fmt: skip
    assert usage.updated is not None
    assert usage.updated <= START
    assert usage.path == "/project"


async def test_keys_of_acct_stat_are_unique(cluster: SyntheticCluster) -> None:
    entries = (await SyntheticStorage(cluster).fetch(START)).entries
    assert len({(entry.user, entry.group, entry.type, entry.hsm_state) for entry in entries}) == len(entries)


async def test_one_user_is_an_unresolved_number(cluster: SyntheticCluster) -> None:
    users = {entry.user for entry in (await SyntheticStorage(cluster, "scratch").fetch(START)).entries}
    assert len([user for user in users if user.isdecimal()]) == 1
    assert users - {user.name for user in cluster.population.users} == {"3047112"}


async def test_space_grows_slowly(cluster: SyntheticCluster) -> None:
    source = SyntheticStorage(cluster)
    sizes = [
        sum(entry.size_bytes for entry in (await source.fetch(START + day * 86_400)).entries) for day in (0, 1, 30)
    ]
    assert sizes[0] < sizes[1] < sizes[0] * 1.05
    assert sizes[1] < sizes[2] < sizes[0] * 2


async def test_one_group_is_nearly_full(cluster: SyntheticCluster) -> None:
    usage = await SyntheticStorage(cluster).fetch(START)
    view = join_storage(usage, True, synthetic_allocations(cluster).quotas["project"], "file")
    filled = [
        space.used_bytes["disk"] / space.quota.bytes for space in view.groups if space.quota and space.quota.bytes
    ]
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
