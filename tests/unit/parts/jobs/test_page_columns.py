"""Every sample of `/metrics` that columns give is the one that the first edition's objects give."""

from collections.abc import Mapping

import polars as pl
import pytest
from hypothesis import given
from isal import igzip

from aggregator.engine.column import Table
from aggregator.engine.exposition import Member, render
from aggregator.engine.frame import conform
from aggregator.exposition import Renderer
from aggregator.exposition.render import JOB_NAME_BYTES
from aggregator.join.cluster import join_cluster
from aggregator.join.efficiency import FairShare as Share
from aggregator.model.accounting import Accounting, Run
from aggregator.model.use import Base, Use
from aggregator.parts.jobs.columns import JOB_GPUS, JOBS
from aggregator.parts.jobs.efficiency import FairShare
from aggregator.parts.jobs.join import join_job_gpus, join_jobs
from aggregator.parts.jobs.owners import ACCOUNT_GPUS, ACCOUNT_STATES, ACCOUNTS, USER_GPUS, USER_STATES, USERS
from aggregator.parts.jobs.sums import count_gpus, count_states, sum_jobs
from aggregator.parts.jobs.use import USE, use_of_runs
from tests.builders import NOW
from tests.unit.parts.jobs.objects import bases_frame, run_gpus_frame, runs_frame, use_frames
from tests.unit.parts.jobs.sites import bases, runs, uses

_Samples = dict[str, float]


def _samples(members: Mapping[str, Member], names: set[str]) -> _Samples:
    found: _Samples = {}
    for name in names & members.keys():
        for line in igzip.decompress(members[name].content).decode().removesuffix("\n").split("\n"):
            labels, _, value = line.rpartition(" ")
            assert labels not in found, "no sample twice"
            found[labels] = float(value)
        assert members[name].series == sum(each.startswith(f"{name}{{") for each in found)
    return found


def _of(tables: tuple[tuple[Table, pl.DataFrame], ...]) -> _Samples:
    members = {}
    for table, frame in tables:
        members |= render(table, frame, {"cluster": "narval"})
    return _samples(members, {family.name for table, _ in tables for family in table.families})


@given(runs(), uses(), bases())
def test_jobs(found: list[Run], use: Use, of: dict[int, Base]) -> None:
    view = join_cluster(
        "narval", NOW, Accounting(NOW, tuple(found)), use, previous={}, bases=of, fair_share=Share(), awards={}
    )
    names = {family.name for table in (JOBS, JOB_GPUS) for family in table.families}
    theirs = _samples(Renderer().render(view), names)
    used = use_of_runs(runs_frame(found), use_frames(use), bases_frame(of), pl.DataFrame(schema=USE))
    jobs = join_jobs(runs_frame(found), used, NOW, FairShare(), JOB_NAME_BYTES)
    ours = _of(((JOBS, jobs), (JOB_GPUS, join_job_gpus(jobs, run_gpus_frame(found)))))
    assert ours.keys() == theirs.keys()
    assert ours == pytest.approx(theirs, rel=1e-9)


@given(runs(), uses(), bases())
def test_users_and_accounts(found: list[Run], use: Use, of: dict[int, Base]) -> None:
    view = join_cluster(
        "narval", NOW, Accounting(NOW, tuple(found)), use, previous={}, bases=of, fair_share=Share(), awards={}
    )
    used = use_of_runs(runs_frame(found), use_frames(use), bases_frame(of), pl.DataFrame(schema=USE))
    jobs, gpus = join_jobs(runs_frame(found), used, NOW, FairShare(), JOB_NAME_BYTES), run_gpus_frame(found)
    users, accounts = ["user", "account"], ["account"]
    ours = _of(
        (
            (USERS, conform(USERS, sum_jobs(jobs, users))),
            (ACCOUNTS, conform(ACCOUNTS, sum_jobs(jobs, accounts))),
            (USER_STATES, count_states(jobs, users)),
            (ACCOUNT_STATES, count_states(jobs, accounts)),
            (USER_GPUS, count_gpus(jobs, gpus, users)),
            (ACCOUNT_GPUS, count_gpus(jobs, gpus, accounts)),
        )
    )
    tables = (USERS, ACCOUNTS, USER_STATES, ACCOUNT_STATES, USER_GPUS, ACCOUNT_GPUS)
    names = {family.name for table in tables for family in table.families}
    theirs = _samples(Renderer().render(view), names)
    assert ours == pytest.approx(theirs, rel=1e-9)
