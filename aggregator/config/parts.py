"""Declare where the parts of other packages have their sections."""

from typing import ClassVar

from aggregator.document.section import Section


class Parts(Section):
    """Hold the section of each part of another package that is used, by its name."""

    unknown: ClassVar[str] = "no part of this name is installed"

    @property
    def in_use(self) -> dict[str, Section]:
        """Give the sections of the parts in use by name."""
        return {name: section for name, section in self if section is not None}
