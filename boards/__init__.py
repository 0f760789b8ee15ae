"""The boards for Grafana, of which `python -m boards` makes rules/dashboards; it needs grafana-foundation-sdk."""
