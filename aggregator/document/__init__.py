"""YAML files, read strictly: every mistake in one is told with its line."""
