"""Which pages the documents show, and how much of each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[2] / "docs" / "pictures"
MOST_BYTES: Final = 150_000
# CSS pixels of each picture.
WIDTH: Final = 1040
# What stands for an address: what the demo prints before it.
ALBUM: Final[Mapping[str, tuple[str, int]]] = {
    "job": ("a job that wastes its GPUs", 1010),
    "unopened": ("a job that never opened its GPU", 800),
    "waste": ("who wastes most", 560),
}


def file_of(name: str) -> Path:
    """Give the place of a picture."""
    return FOLDER / f"{name}.png"
