"""Scenarios: rows and samples in, `/metrics` and `/api/v1` out; they outlive a rebuilding of the inside."""
