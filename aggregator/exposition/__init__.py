"""Snapshot → the bytes of `/metrics`."""

from aggregator.exposition.page import Page
from aggregator.exposition.render import Renderer
from aggregator.exposition.service import ServiceMetrics

__all__ = ["Page", "Renderer", "ServiceMetrics"]
