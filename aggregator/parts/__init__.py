"""The parts: each is a folder that owns one subject, from its inputs to its answers."""
