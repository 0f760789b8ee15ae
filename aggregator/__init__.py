"""Join Slurm accounting, Robinhood and Prometheus, and give the result back as gauges and a REST API."""

__version__ = "0.1.0"
