"""HTTP: the metrics page, the REST API and the management paths."""
