"""Snapshot → the bytes of `/metrics`."""

from aggregator.exposition.budget import Budget
from aggregator.exposition.own import OwnFamilies
from aggregator.exposition.page import Page, takes_gzip
from aggregator.exposition.service import ServiceMetrics
from aggregator.exposition.vitals import Vitals, vitals_families

__all__ = ["Budget", "OwnFamilies", "Page", "ServiceMetrics", "Vitals", "takes_gzip", "vitals_families"]
