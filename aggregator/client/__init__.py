"""The commands for people: what a running service knows, in a terminal.

It talks to the service over HTTP and imports nothing of it. Rich is imported where something is drawn, not before:
`--json` and `--csv` do not wait for it.
"""
