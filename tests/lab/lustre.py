"""Two file systems of the lab: `project` is scraped as it is, `scratch` through lustre_exporter_slurm."""

import pwd
import time
from collections.abc import Mapping

from tests.lab.exporters.lustre_exporter import Entry, Io, LustreServers
from tests.lab.exporters.lustre_exporter_slurm import lustre_exporter_slurm
from tests.lab.feed import JobFeed, RunningJob

# Users' processes on login nodes; nobody has the last uid.
LOGIN = Io(read=4e6, write=1e6, operations=20.0)
STRANGER = 2_999_999
UNKNOWN = Io(read=1e5, write=2e5, operations=3.0)
# What a site's clients may send, and a stranger may write into a name.
HOSTILE = ("", "a,b", "4711003:node12", "4711_3", "\N{ROCKET}", 'x="y"}', "back\\slash", "99999999999999999999")


def io_of(job: RunningJob) -> Io:
    """What a job does on each of the two file systems: the same each time, and not that of another."""
    return Io(read=1e6 * (job.job_id % 7 + 1), write=1e5 * (job.job_id % 5 + 1), operations=float(job.job_id % 3 + 1))


class LabLustre:
    """The servers of both, fed with the jobs that really run."""

    def __init__(self, feed: JobFeed) -> None:
        self._feed = feed
        self._born = time.time()
        self.project = LustreServers("project", ("mds1", "mds2", "oss1", "oss2"), gsi=True)
        self.scratch = LustreServers("scratch", ("mds3", "mds4", "oss3", "oss4"), gsi=False)
        self._owners: dict[int, tuple[str, str]] = {}
        self.labelled = True
        """Whether the proxy knows the owners of jobs and uids."""

    def plain_page(self, server: str) -> str:
        """The page of lustre_exporter on a server of `project`."""
        self.project.set_entries(self._jobs() | self._processes())
        return self.project.page(server)

    def proxied_page(self, server: str) -> str:
        """The page of the proxy for a server of `scratch`."""
        self.scratch.set_entries(self._jobs())
        return lustre_exporter_slurm(self.scratch.page(server), self._owner_of, self._user_of)

    def _jobs(self) -> dict[str, Entry]:
        return {str(job.job_id): Entry(io_of(job), job.start) for job in self._feed.jobs}

    def _processes(self) -> Mapping[str, Entry]:
        uids = {user: pwd.getpwnam(user).pw_uid for user in {job.user for job in self._feed.jobs}}
        login = {f"rsync.{uid}": Entry(LOGIN, self._born) for uid in (*uids.values(), STRANGER, 0)}
        return login | {jobid: Entry(UNKNOWN, self._born) for jobid in HOSTILE}

    def _owner_of(self, job_id: int) -> tuple[str, str] | None:
        self._owners |= {job.job_id: (job.user, job.account) for job in self._feed.jobs}
        return self._owners.get(job_id) if self.labelled else None

    def _user_of(self, uid: int) -> str | None:
        return pwd.getpwuid(uid).pw_name if self.labelled else None
