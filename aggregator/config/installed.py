"""What is installed beside the service's own sections: parts of other packages, and files of exporters."""

import pkgutil
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Final

from pydantic import Field, create_model

from aggregator.config.exporter import Exporter, Exporters
from aggregator.config.parts import Parts
from aggregator.config.schema import Cluster, Config
from aggregator.document.mistake import ConfigError, Mistake
from aggregator.document.section import Section
from aggregator.document.types import ClusterName

GROUP: Final = "hpc_aggregator.parts"
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
_EXPORTERS: Final = Path(__file__).parents[1] / "sources" / "prometheus" / "exporters"
# The service's own gauges are no exporter that a site configures.
_OWN: Final = "aggregator"


@dataclass(frozen=True, slots=True)
class InstalledPart:
    """A part by the name of its entry point, the package that brings it with its version, and what it gives."""

    name: str
    package: str
    gives: Any

    @property
    def section(self) -> type[Section]:
        """Give the section of its configuration."""
        section: type[Section] = self.gives.section
        return section

    def __str__(self) -> str:
        return f"part {self.name} ({self.package})"


@cache
def installed_parts() -> Mapping[str, InstalledPart]:
    """Load the parts of other packages, by name.

    Raises ConfigError naming one that cannot be loaded.
    """
    found: dict[str, InstalledPart] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        part = _load(entry)
        if other := found.get(part.name):
            raise _mistake(part.name, part.package, f"{other.package} has a part of this name, too: remove one of them")
        found[part.name] = part
    return found


def _load(entry: EntryPoint) -> InstalledPart:
    package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
    try:
        found = InstalledPart(entry.name, package, entry.load())
    except Exception as error:
        raise _mistake(entry.name, package, f"cannot be loaded: {type(error).__name__}: {error}") from error
    if not _NAME.fullmatch(entry.name) or hasattr(Section, entry.name):
        raise _mistake(entry.name, package, "not a name for a part: it must be lower case, and a key of its own")
    if not (isinstance(section := getattr(found.gives, "section", None), type) and issubclass(section, Section)):
        raise _mistake(entry.name, package, f"{entry.value} is no aggregator.extension.Extension")
    return found


def _mistake(name: str, package: str, message: str) -> ConfigError:
    return ConfigError([Mistake(f"part {name} ({package})", None, "", message)])


@cache
def whole_config() -> type[Config]:
    """Give the sections of the whole file, with those of what is installed.

    Raises ConfigError as `installed_parts` does.
    """
    found: dict[str, Any] = {name: (part.section | None, None) for name, part in installed_parts().items()}
    others: dict[str, Any] = dict.fromkeys(_more_exporters(), (Exporter | None, None))
    parts = create_model("Parts", __base__=Parts, __doc__=Parts.__doc__, **found)
    exporters = create_model("Exporters", __base__=Exporters, **others)
    cluster = create_model("Cluster", __base__=Cluster, parts=(parts, parts()), exporters=(exporters, exporters()))
    clusters: Any = (dict[ClusterName, cluster], Field(default_factory=dict))  # type: ignore[valid-type]
    return create_model("Config", __base__=Config, clusters=clusters)


def _more_exporters() -> set[str]:
    """Give the exporters whose sections have nothing of their own: those that are files of the sources only."""
    files = {module.name for module in pkgutil.iter_modules([str(_EXPORTERS)])}
    return files - Exporters.model_fields.keys() - {_OWN}
