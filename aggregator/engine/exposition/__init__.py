"""How frames are written for Prometheus."""

from aggregator.engine.exposition.fold import Folded, Limits, Rests, fold
from aggregator.engine.exposition.render import Member, Writer, Written, compress, escape_help, head

__all__ = ["Folded", "Limits", "Member", "Rests", "Writer", "Written", "compress", "escape_help", "fold", "head"]
