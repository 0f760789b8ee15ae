"""The current snapshot: replaced whole by the refresh loops, read by everybody else."""

from collections.abc import Collection
from dataclasses import replace

from aggregator.model.cloud import CloudView
from aggregator.model.view import ClusterView, FilesystemView, Snapshot, SourceStatus


class SnapshotStore:
    """Hold the one current snapshot. All calls come from the event loop's thread; readers keep what they took."""

    def __init__(self) -> None:
        self.current = Snapshot()

    def publish_cluster(self, view: ClusterView) -> None:
        """Replace one cluster's view."""
        self.current = replace(self.current, clusters={**self.current.clusters, view.cluster: view})

    def publish_filesystem(self, view: FilesystemView) -> None:
        """Replace one file system's view."""
        self.current = replace(self.current, filesystems={**self.current.filesystems, view.filesystem: view})

    def publish_cloud(self, view: CloudView) -> None:
        """Replace one cloud's view."""
        self.current = replace(self.current, clouds={**self.current.clouds, view.cloud: view})

    def publish_source(self, status: SourceStatus) -> None:
        """Replace what is known of one source's last fetch."""
        key = (status.source, status.scope)
        self.current = replace(self.current, sources={**self.current.sources, key: status})

    def keep_only(self, clusters: Collection[str], filesystems: Collection[str], clouds: Collection[str] = ()) -> None:
        """Forget what is not configured any more; of sources, see `forget_sources`."""
        self.current = replace(
            self.current,
            clusters={name: view for name, view in self.current.clusters.items() if name in clusters},
            filesystems={name: view for name, view in self.current.filesystems.items() if name in filesystems},
            clouds={name: view for name, view in self.current.clouds.items() if name in clouds},
        )

    def forget_sources(self, keys: Collection[tuple[str, str]]) -> None:
        """Forget what is known of sources, by name and scope."""
        sources = {key: status for key, status in self.current.sources.items() if key not in keys}
        self.current = replace(self.current, sources=sources)
