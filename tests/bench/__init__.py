"""Ours against the reference in one run; prints ratios, asserts nothing."""
