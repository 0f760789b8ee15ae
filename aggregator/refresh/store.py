"""The current snapshot: replaced whole by the refresh loops, read by everybody else."""

from dataclasses import replace

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

    def publish_source(self, status: SourceStatus) -> None:
        """Replace what is known of one source's last fetch."""
        key = (status.source, status.scope)
        self.current = replace(self.current, sources={**self.current.sources, key: status})
