"""The current snapshot: replaced whole by the refresh loops, read by everybody else."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from math import inf

from aggregator.engine.view import View
from aggregator.model.view import ClusterView, Snapshot, SourceStatus

_log = logging.getLogger(__name__)
# What is shown of one cluster, file system or cloud, such as ("cluster", "narval").
Scope = tuple[str, str]
# All other sources are of clusters.
_KINDS = {"robinhood": "filesystem", "quota": "filesystem", "cloud": "cloud"}


class SnapshotStore:
    """Hold the one current snapshot. All calls come from the event loop's thread; readers keep what they took.

    A view is shown for the seconds that it is published for, whether or not the loop that should renew it still runs.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.latest = Snapshot()
        # How many views of each scope were published; those who watch are told of which there is a new one.
        self.editions: Counter[Scope] = Counter()
        self.watchers: list[Callable[[Scope], None]] = []
        self._now = now
        self._until: dict[Scope, float] = {}
        self._said: set[Scope] = set()

    @property
    def current(self) -> Snapshot:
        """Give what may be shown now: a view that was not renewed in time is empty, and its sources are down.

        `latest` is what was published last, however old it is.
        """
        late = [scope for scope in self._until if self.is_late(scope)]
        for scope in self._said.symmetric_difference(late):
            self._say(scope)
        return _blanked(self.latest, late) if late else self.latest

    def is_late(self, scope: Scope) -> bool:
        """Tell whether what was published last of a scope may not be shown any more."""
        return self._now() > self._until.get(scope, inf)

    def publish_cluster(self, view: ClusterView, seconds: float = inf) -> None:
        """Replace one cluster's view, to be shown for so long."""
        self._until["cluster", view.cluster] = self._now() + seconds
        self.latest = replace(self.latest, clusters={**self.latest.clusters, view.cluster: view})
        self._tell(("cluster", view.cluster))

    def publish_filesystem(self, view: View, seconds: float = inf) -> None:
        """Replace one file system's view, to be shown for so long."""
        self._until["filesystem", view.name] = self._now() + seconds
        self.latest = replace(self.latest, filesystems={**self.latest.filesystems, view.name: view})
        self._tell(("filesystem", view.name))

    def publish_cloud(self, view: View, seconds: float = inf) -> None:
        """Replace one cloud's view, to be shown for so long."""
        self._until["cloud", view.name] = self._now() + seconds
        self.latest = replace(self.latest, clouds={**self.latest.clouds, view.name: view})
        self._tell(("cloud", view.name))

    def publish_source(self, status: SourceStatus) -> None:
        """Replace what is known of one source's last fetch."""
        key = (status.source, status.scope)
        self.latest = replace(self.latest, sources={**self.latest.sources, key: status})

    def keep_only(self, clusters: Collection[str], filesystems: Collection[str], clouds: Collection[str] = ()) -> None:
        """Forget what is not configured any more; of sources, see `forget_sources`."""
        known = self.latest
        self.latest = replace(
            known,
            clusters={name: view for name, view in known.clusters.items() if name in clusters},
            filesystems={name: view for name, view in known.filesystems.items() if name in filesystems},
            clouds={name: view for name, view in known.clouds.items() if name in clouds},
        )
        configured = {"cluster": clusters, "filesystem": filesystems, "cloud": clouds}
        self._until = {scope: until for scope, until in self._until.items() if scope[1] in configured[scope[0]]}
        for scope in [each for each in self.editions if each[1] not in configured[each[0]]]:
            self._tell(scope)

    def forget_sources(self, keys: Collection[tuple[str, str]]) -> None:
        """Forget what is known of sources, by name and scope."""
        sources = {key: status for key, status in self.latest.sources.items() if key not in keys}
        self.latest = replace(self.latest, sources=sources)

    def _tell(self, scope: Scope) -> None:
        """Tell those who watch that what is shown of a scope is another view, or none any more."""
        self.editions[scope] += 1
        for watcher in self.watchers:
            watcher(scope)

    def _say(self, scope: Scope) -> None:
        """Log once that a scope is late, and once that it is not any more."""
        if scope in self._said:
            self._said.remove(scope)
            _log.info("refreshed again: kind=%s name=%s", *scope)
        else:
            self._said.add(scope)
            _log.error("not refreshed in time, its series are withdrawn: kind=%s name=%s", *scope)


def _blanked(snapshot: Snapshot, late: Collection[Scope]) -> Snapshot:
    """Take out what is late: whoever hangs does not say that it is old."""
    clusters, filesystems, clouds = dict(snapshot.clusters), dict(snapshot.filesystems), dict(snapshot.clouds)
    for kind, name in late:
        if kind == "cluster" and name in clusters:
            known = clusters[name]
            blank = {table: frame.clear() for table, frame in known.frames.items()}
            clusters[name] = ClusterView(name, known.time, names=known.names, frames=blank)
        elif kind == "filesystem" and name in filesystems:
            filesystems[name] = filesystems[name].blank()
        elif kind == "cloud" and name in clouds:
            clouds[name] = clouds[name].blank()
    times = {("cluster", name): view.time for name, view in clusters.items()}
    times |= {("filesystem", name): view.time for name, view in filesystems.items()}
    times |= {("cloud", name): view.time for name, view in clouds.items()}
    down = {key: _down(status, times) for key, status in snapshot.sources.items() if _scope(status) in late}
    return Snapshot(clusters, filesystems, clouds, {**snapshot.sources, **down})


def _scope(status: SourceStatus) -> Scope | None:
    """Give what a source is shown in."""
    return (_KINDS.get(status.source, "cluster"), status.scope) if status.is_shown else None


def _down(status: SourceStatus, times: Mapping[Scope, float]) -> SourceStatus:
    """Say that a source is down though its fetch may have succeeded: nothing came of it since the last view."""
    kind = _KINDS.get(status.source, "cluster")
    success = None if status.last_success is None else min(status.last_success, times[kind, status.scope])
    error = status.error or "not refreshed in time: the refresh hangs"
    return replace(status, up=False, error=error, last_success=success)
