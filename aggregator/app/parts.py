"""What a configuration runs, part by part, and of what each part is made: a reload replaces those that differ."""

from functools import partial

from aggregator.app.part import Part
from aggregator.app.schedule import Timing
from aggregator.app.site import ALLOCATIONS, CLOUD, CLUSTER, FILESYSTEM, Key, is_read, open_site
from aggregator.config import Config, digests


def parts_of(config: Config, timing: Timing) -> dict[Key, Part]:
    """Give the parts. Reads the certificates and secrets that they need: not for the event loop."""
    # First: the others are joined with them.
    reads: dict[Key, tuple[object, ...]] = {}
    if config.allocations.file:
        reads[ALLOCATIONS, ""] = (config.allocations,)
    energy = (config.energy.window, config.energy.node_classes)
    for name, cluster in config.clusters.items():
        reads[CLUSTER, name] = (cluster, digests(cluster), config.refresh, energy)
    for name, filesystem in config.filesystems.items():
        if is_read(filesystem):
            # Its quotas may be with the series of a cluster.
            cluster_of = config.clusters.get(filesystem.cluster or "") if filesystem.quota else None
            series = (cluster_of.prometheus, cluster_of.exporters, cluster_of.nodes) if cluster_of else ()
            sections = (filesystem, series)
            reads[FILESYSTEM, name] = (sections, digests(sections), config.refresh)
    for name, cloud in config.cloud.items():
        reads[CLOUD, name] = (cloud, digests(cloud), config.refresh)
    shown = (config.refresh, config.limits)
    # How jobs are judged, and what they cost, concerns clusters only.
    judged = (*shown, config.energy, config.usage, config.waste, config.waste_rules)
    return {
        key: Part(partial(open_site, config, key), timing, of, judged if key[0] == CLUSTER else shown)
        for key, of in reads.items()
    }
