"""The name of a cluster."""

import re
from typing import Final

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,39}")


def is_cluster_name(text: str) -> bool:
    """Tell whether this can be a ClusterName of Slurm: it is the prefix of the tables of slurmdbd."""
    return _NAME.fullmatch(text) is not None
