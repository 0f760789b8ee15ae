"""On-demand reads for the API, bounded and cached."""
