"""How frames are written for Prometheus."""

from aggregator.engine.exposition.fold import Folded, Limits, Rests, fold
from aggregator.engine.exposition.render import Member, compress, escape_help, head, render

__all__ = ["Folded", "Limits", "Member", "Rests", "compress", "escape_help", "fold", "head", "render"]
