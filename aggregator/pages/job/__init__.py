"""The page of a job."""

from aggregator.pages.job.page import PAGE

__all__ = ["PAGE"]
