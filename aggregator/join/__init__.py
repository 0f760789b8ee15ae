"""Pure functions that join what the sources know, one file per question."""
