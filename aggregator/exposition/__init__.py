"""Snapshot → the bytes of `/metrics`."""

from aggregator.exposition.page import Page
from aggregator.exposition.render import Renderer
from aggregator.exposition.service import ServiceMetrics
from aggregator.exposition.vitals import Vitals, VitalsCollector

__all__ = ["Page", "Renderer", "ServiceMetrics", "Vitals", "VitalsCollector"]
