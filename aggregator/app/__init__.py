"""The composition root: the only part that knows all the others."""
