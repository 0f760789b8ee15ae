"""One module or sub-package per system that is read."""
