"""How frames are written for Prometheus."""

from aggregator.engine.exposition.render import Member, compress, head, render

__all__ = ["Member", "compress", "head", "render"]
