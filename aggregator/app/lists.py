"""Every list of the API: of what there are tables."""

from collections.abc import Sequence
from typing import Any

from aggregator.api.cloud_lists import cloud_lists
from aggregator.api.cluster_lists import cluster_lists
from aggregator.api.lists import ListRoute
from aggregator.api.node_lists import node_lists
from aggregator.api.storage_lists import storage_lists
from aggregator.app.layouts import CLOUDS, CLUSTERS, FILESYSTEMS
from aggregator.engine.part import Layout, Part


def lists_of(clusters: Layout = CLUSTERS, others: Sequence[Part] = ()) -> tuple[ListRoute[Any], ...]:
    """Give the lists; others are the parts of other packages."""
    return (*cluster_lists(clusters, others), *node_lists(clusters), *storage_lists(FILESYSTEMS), *cloud_lists(CLOUDS))
