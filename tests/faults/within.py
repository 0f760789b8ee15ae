"""Make the service's own process do what no server in front of it can be made to: a name that is never resolved, a
thread that hangs. While a file is there it does; without the file it is as it always was."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.scenarios.site import Site

_REPOSITORY = Path(__file__).resolve().parents[2]
_HEAD = """
import os, time

def is_on(fault):
    return os.path.exists({root!r} + "/" + fault)

def wait_out(fault):
    while is_on(fault):
        time.sleep(0.05)
"""

# Names that end in .silent: the resolver has no answer, ever.
SILENT_NAMES = """
import socket
_getaddrinfo = socket.getaddrinfo

def getaddrinfo(host, *arguments, **more):
    if str(host).endswith(".silent"):
        wait_out("silence")
        host = "127.0.0.1"
    return _getaddrinfo(host, *arguments, **more)

socket.getaddrinfo = getaddrinfo
"""

# Joining a cluster never ends.
HANGING_JOIN = """
from aggregator.engine.part import Layout
_join = Layout.join

def join(self, *arguments):
    if self.kind == "cluster":
        wait_out("hang")
    return _join(self, *arguments)

Layout.join = join
"""

# A bug in refreshing a cluster, and another in withdrawing it.
BROKEN_LOOP = """
from aggregator.refresh.cluster import ClusterRefresher
_refresh = ClusterRefresher.refresh

async def refresh(self, at):
    if is_on("bug"):
        raise RuntimeError("a bug")
    await _refresh(self, at)

async def withdraw(self, at):
    raise RuntimeError("another bug")

ClusterRefresher.refresh, ClusterRefresher.withdraw = refresh, withdraw
"""

# The event loop itself stands still.
STUCK_EVENT_LOOP = """
from aggregator.refresh.store import SnapshotStore
_publish_source = SnapshotStore.publish_source

def publish_source(self, status):
    wait_out("stuck")
    _publish_source(self, status)

SnapshotStore.publish_source = publish_source
"""


def prepare(site: Site, *faults: str) -> None:
    """Build these faults into the service that will be started."""
    folder = site.root / "faults"
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text("\n".join((_HEAD.format(root=str(site.root)), *faults)))
    site.environment["PYTHONPATH"] = f"{folder}:{_REPOSITORY}"


@contextmanager
def fault(site: Site, name: str) -> Iterator[None]:
    """Let the fault of this name last as long as the body."""
    file = site.root / name
    file.touch()
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
