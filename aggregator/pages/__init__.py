"""Pages for people, below /ui/: rendered here, of the answers that the API gives.

A page is one module with its `PAGE`, one template, and one line in `routes.py`.
"""
