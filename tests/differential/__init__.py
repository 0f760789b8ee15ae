"""`make differential`: the previous edition and this one read the same inputs; their pages of /metrics are compared.

It is there while the inside is rebuilt. Neither edition is changed for it: both are started as their users start them,
by a clock that does not move while their pages are compared (`pinned.py`). CONTRIBUTING.md says how it is used.
"""
