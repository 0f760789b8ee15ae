"""What is shown of one cluster, file system or cloud."""

from dataclasses import dataclass, replace

import polars as pl

from aggregator.engine.frame import Frames


@dataclass(frozen=True, slots=True, weakref_slot=True)
class View:
    """The frames of one thing at one time (epoch seconds; 0.0 before the first refresh)."""

    name: str
    time: float
    frames: Frames

    def __getitem__(self, table: str) -> pl.DataFrame:
        return self.frames[table]

    def blank(self) -> "View":
        """Give it without any row: what is too old is not shown."""
        return replace(self, frames={name: frame.clear() for name, frame in self.frames.items()})
