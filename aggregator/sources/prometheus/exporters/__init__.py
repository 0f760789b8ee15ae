"""One module per exporter: its inputs."""
