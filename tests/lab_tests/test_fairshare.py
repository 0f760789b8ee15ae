"""Fair share and what is used of GrpTRESMins: the service's words against those of the real slurmctld."""

import math
import re
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from aggregator.model.decay import Decay
from aggregator.model.job_inputs import runs_of
from aggregator.parts.accounts.usage import sum_usage
from aggregator.refresh.usage import UsageWindows
from aggregator.sources.mysql import Database
from aggregator.sources.slurmacct import SlurmAcct, SlurmUsage
from tests.lab import Lab, wait_until
from tests.lab.rollup import hour_of, roll_up_from
from tests.lab.slurm import DATABASE
from tests.standings import Standings, join_standings

pytestmark = pytest.mark.lab

LIMITED = {"cpu": 99999, "gres/gpu": 999, "billing": 88888}
# slurmctld adds up whole seconds once a minute and takes 0.693 for ln 2, and slurmdbd may have another second as the
# start of a job: of the minutes that the jobs have run here that is less than this.
TOLERANCE = 0.03
Key = tuple[str, str, str]


@dataclass(frozen=True)
class Said:
    """What sshare prints of one association."""

    used: float
    level: float


@dataclass(frozen=True)
class Moment:
    """What slurmctld and the service say as of one addition of usage."""

    said: dict[Key, Said]
    minutes: dict[str, int]
    ours: Standings


def modify(lab: Lab, account: str, *values: str) -> None:
    lab.slurm.run("sacctmgr", "-i", "-Q", "modify", "account", account, "set", *values)


def minutes(values: dict[str, int]) -> str:
    return "GrpTRESMins=" + ",".join(f"{tres}={value}" for tres, value in values.items())


@pytest.fixture(scope="module", autouse=True)
def changed(lab: Lab) -> Iterator[float]:
    """A cluster with a past of three hours, limits on minutes, `parent` shares; with when the last was changed."""
    roll_up_from(lab, hour_of(time.time()) - 3 * 3600)
    modify(lab, "def-kim", minutes(LIMITED))
    modify(lab, "def-kim-sub", "fairshare=parent")
    yield time.time()
    modify(lab, "def-kim-sub", "fairshare=10")
    modify(lab, "def-kim", minutes(dict.fromkeys(LIMITED, -1)))


@pytest.fixture
async def moment(lab: Lab, database: Database, changed: float) -> Moment:
    """Read both as of an addition of usage: a job that runs goes on in between."""
    ((started,),) = lab.mariadb.execute("SELECT MAX(time_start) FROM lab_job_table WHERE time_end=0", DATABASE)
    first = max(started, changed) + 10

    def has_just_added_up() -> bool:
        # Long enough ago for slurmdbd to know who ran then, and for the next one to be far.
        return first < added_up(lab) and 3 < time.time() - added_up(lab) < 35

    wait_until(has_just_added_up, 180, "slurmctld to add up usage")
    at = added_up(lab)
    found = Moment(sshare(lab), slurmctld_minutes(lab), await ours(database, at))
    assert added_up(lab) == at, "slurmctld has gone on while it was read"
    return found


def added_up(lab: Lab) -> float:
    """Read when slurmctld last added up usage, from the file in which it keeps that; 0 while it replaces it."""
    try:
        kept = (lab.slurm.folder / "state/priority_last_decay_ran").read_bytes()
    except FileNotFoundError:
        return 0.0
    return float(struct.unpack(">q", kept[:8])[0])


def sshare(lab: Lab) -> dict[Key, Said]:
    found = {}
    columns = "Account,User,Partition,EffectvUsage,LevelFS"
    for line in lab.slurm.run("sshare", "-a", "-l", "-n", "-P", "-o", columns).splitlines():
        account, user, partition, *values = line.strip().split("|")
        found[account, user, partition] = Said(*(float(value or "nan") for value in values))
    return found


def slurmctld_minutes(lab: Lab) -> dict[str, int]:
    """Read what def-kim has used of its limits: `GrpTRESMins=cpu=99999(45),…`."""
    records = lab.slurm.scontrol("show", "assoc_mgr", "flags=assoc", "accounts=def-kim").split("ClusterName=")
    (record,) = (each for each in records if re.search(r"Account=def-kim UserName= ", each))
    (limits,) = re.findall(r"GrpTRESMins=(\S+)", record)
    return {tres: int(used) for tres, used in re.findall(r"([\w/]+)=\d+\((\d+)\)", limits)}


async def ours(database: Database, at: float) -> Standings:
    accounting = SlurmAcct("lab", database, "lab", 600.0)
    known = await accounting.fetch(at)
    usage = await UsageWindows(SlurmUsage(accounting, database, "lab"), accounting, decay=Decay()).fetch(at)
    sums = sum_usage(usage, runs_of(known.runs))
    assert sums is not None
    assert sums.left is not None
    return join_standings(known.associations, known.runs, at, sums.left)


def test_levels_and_minutes_are_what_slurmctld_says(moment: Moment) -> None:
    found = moment.ours.by_key
    assert moment.said.keys() == found.keys()
    compared = 0
    for key, said in moment.said.items():
        share = found[key].fairshare
        if key == ("root", "", ""):
            assert share.usage_ratio is None
            continue
        assert share.usage_ratio == pytest.approx(said.used, rel=TOLERANCE, abs=0.002), key
        if math.isfinite(said.level):
            assert share.level == pytest.approx(said.level, rel=2 * TOLERANCE), key
            compared += 1
        else:
            assert share.level is None, key
    assert compared >= 6
    through = found["def-kim-sub", "", ""]
    assert (through.shares, through.fairshare.level) == (None, None), "through `parent` its users compete above"

    used = {limit.tres: limit.used for limit in found["def-kim", "", ""].limits if limit.limit == "GrpTRESMins"}
    assert used.keys() == moment.minutes.keys() == LIMITED.keys()
    for tres, seconds in used.items():
        # It prints whole minutes.
        assert seconds is not None
        assert seconds / 60 == pytest.approx(moment.minutes[tres] + 0.5, rel=TOLERANCE, abs=0.6), tres
