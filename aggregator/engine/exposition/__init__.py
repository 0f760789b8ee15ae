"""How frames are written for Prometheus."""

from aggregator.engine.exposition.render import Member, compress, escape_help, head, render

__all__ = ["Member", "compress", "escape_help", "head", "render"]
