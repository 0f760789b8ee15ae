"""The demo's associations: every account and user has one, and some limits are in use."""

from aggregator.synthetic import SyntheticAccounting, SyntheticCluster
from tests.builders import NOW
from tests.standings import join_standings


async def test_everybody_has_an_association_and_limits_are_used() -> None:
    cluster = SyntheticCluster(start=NOW)
    accounting = await SyntheticAccounting(cluster).fetch(NOW)
    joined = join_standings(accounting.associations, accounting.runs)

    assert joined.accounts.keys() == cluster.population.accounts.keys()
    assert {user for _, user in joined.users} == {user.name for user in cluster.population.users}
    used = {limit.limit for standing in joined.accounts.values() for limit in standing.limits if limit.used}
    assert {"GrpTRES", "GrpSubmitJobs", "GrpTRESRunMins"} <= used
    assert all(standing.shares_ratio for name, standing in joined.accounts.items() if name != "root")
    assert joined.coordinators.keys() == {account for account, _ in joined.users}


async def test_whatever_starts_no_limit_is_ever_exceeded() -> None:
    cluster = SyntheticCluster(start=NOW)
    tight = 0
    for minute in range(0, 181, 15):
        accounting = await SyntheticAccounting(cluster).fetch(NOW + 60 * minute)
        joined = join_standings(accounting.associations, accounting.runs, cluster.time)
        every = [*(each.limits for each in joined.by_key.values()), *(qos.limits for qos in joined.qos)]
        limits = [limit for of in every for limit in of if limit.used is not None]
        assert [limit for limit in limits if limit.used is not None and limit.used > limit.value] == []
        tight += sum(limit.used is not None and limit.used > 0.9 * limit.value for limit in limits)
    assert tight, "somebody is at a limit"
