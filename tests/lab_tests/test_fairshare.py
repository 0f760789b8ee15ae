"""Fair share and what is used of GrpTRESMins: the service's words against those of the real slurmctld."""

import struct
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest

from aggregator.join.decay import raw_usage
from aggregator.join.limits import join_limits
from aggregator.join.usage import runs_since
from aggregator.model.association import LimitsView, Standing
from aggregator.model.decay import Decay
from aggregator.model.usage import RawUsage
from aggregator.refresh.usage import UsageWindows
from aggregator.sources.mysql import Connection, Database
from aggregator.sources.slurmacct import SlurmAcct, SlurmUsage
from tests.lab import Lab, databases
from tests.lab.ports import LOOPBACK
from tests.lab.process import wait_until
from tests.lab.rollup import hour_of, roll_up_from
from tests.lab.slurm import DATABASE

pytestmark = pytest.mark.lab

MINUTES = "GrpTRESMins=cpu=99999,gres/gpu=999,billing=99999"
NO_MINUTES = "GrpTRESMins=cpu=-1,gres/gpu=-1,billing=-1"
# slurmctld counts whole seconds of a job from its own start of it, slurmdbd from what it was told.
SECONDS_OF_A_JOB = 2.0
Key = tuple[str, str, str]


@dataclass(frozen=True)
class Said:
    """What sshare prints of one association."""

    raw: float
    used: float
    level: float


@pytest.fixture(scope="module", autouse=True)
def rolled(lab: Lab) -> Iterator[None]:
    """A cluster that has idled for three hours before its first job, and limits on minutes."""
    roll_up_from(lab, hour_of(time.time()) - 3 * 3600)
    lab.slurm.run("sacctmgr", "-i", "-Q", "modify", "account", "def-kim", "set", MINUTES)
    yield
    lab.slurm.run(
        "sacctmgr", "-i", "-Q", "modify", "account", "def-kim", "set", "GrpTRESMins=cpu=-1,gres/gpu=-1,billing=-1"
    )


@pytest.fixture
async def database(lab: Lab) -> AsyncIterator[Database]:
    opened = Database(Connection(
        key="lab", host=LOOPBACK, port=lab.mariadb.port, user=databases.USER,
        password=lambda: lab.password_file.read_text().strip(), database=DATABASE,
    ))  # fmt: skip
    yield opened
    await opened.close()


def decayed_at(lab: Lab) -> float:
    """Read when slurmctld last added up usage, from the file in which it keeps that."""
    return float(struct.unpack(">q", (lab.slurm.files.root / "state/priority_last_decay_ran").read_bytes()[:8])[0])


def sshare(lab: Lab) -> dict[Key, Said]:
    columns = "Account,User,Partition,RawUsage,EffectvUsage,LevelFS"
    found = {}
    for line in lab.slurm.run("sshare", "-a", "-l", "-n", "-P", "-o", columns).splitlines():
        account, user, partition, raw, used, level = line.strip().split("|")
        found[account, user, partition] = Said(float(raw), float(used or 0), float(level or "nan"))
    return found


async def ours(database: Database, at: float) -> tuple[RawUsage, LimitsView]:
    accounting = SlurmAcct("lab", database, "lab", 600.0)
    known = await accounting.fetch(at)
    usage = await UsageWindows(SlurmUsage("lab", database, "lab"), accounting, decay=Decay()).fetch(at)
    assert usage.catalog is not None
    assert usage.decayed is not None
    raw = raw_usage(usage.decayed, usage.catalog, runs_since(usage, known.runs), at)
    assert raw is not None
    return raw, join_limits(known.associations, known.runs, at, raw)


def standings(joined: LimitsView) -> dict[Key, Standing]:
    every = [*joined.accounts.values(), *(each for of in joined.users.values() for each in of)]
    return {(each.account, each.user, each.partition): each for each in every}


async def test_it_is_what_sshare_says(lab: Lab, database: Database) -> None:
    """As of the moment at which slurmctld added up: a job that runs goes on in between."""
    ((started,),) = lab.mariadb.execute("SELECT MAX(time_start) FROM lab_job_table WHERE time_end=0", DATABASE)
    wait_until(lambda: decayed_at(lab) > started + 10, 120, "slurmctld to add up usage")
    at, said = decayed_at(lab), sshare(lab)
    raw, joined = await ours(database, at)
    print(at, time.time())
    rows = standings(joined)
    for key, s in sorted(said.items()):
        st = rows[key]
        print(key, s, raw.accounts.get(key[0], {}).get("billing") if not key[1] else "", st.shares_ratio, st.fairshare)
    print([(l.limit, l.tres, l.used) for l in rows["def-kim", "", ""].limits])
    print(lab.slurm.scontrol("show", "assoc_mgr", "flags=assoc", "accounts=def-kim"))
    assert 0
