"""Parts of other packages: whether they fit beside ours, and their sources."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from aggregator.api.cluster_lists import LISTS_PATH
from aggregator.api.lists import PARAMETERS
from aggregator.api.routes import ROUTES
from aggregator.app.errors import StartError
from aggregator.app.layouts import BY_NAME, CLUSTERS, FAMILIES, clusters_with
from aggregator.app.lists import lists_of
from aggregator.config import ConfigError, InstalledPart, Mistake, Section, installed_parts
from aggregator.engine.column import DeclarationError, Family
from aggregator.engine.part import Part
from aggregator.extension import Extension, Lent
from aggregator.sources.base import Source

# By which the service's own sources are known.
OUR_SOURCES: Final = frozenset(
    ("slurmacct", "slurmacct_replica", "usage", "ledger", "state", "prometheus", "gauges", "slurm_exporter",
     "scheduler", "node_exporter", "lustre", "robinhood", "quota", "cloud", "allocations")
)  # fmt: skip
_OUR_FAMILIES: Final = "hpc_aggregator_"
_OUR_GROUPS: Final = frozenset(family.collect for family in FAMILIES) | {"service"}
_OUR_PATHS: Final = frozenset(
    path.removeprefix(LISTS_PATH).partition("/")[0]
    for path in (*(route.path for route in ROUTES), *(each.path for each in lists_of()))
    if path.startswith(LISTS_PATH)
)
_SCOPE: Final = "cluster"
# The sources of each part.
Sources = Mapping[str, Sequence[Source[object]]]


def parts_of_others() -> tuple[Part, ...]:
    """Give the parts that are installed beside ours.

    Raises ConfigError for one that cannot be loaded, StartError for one that does not fit beside the others.
    """
    fitting: list[Part] = []
    for installed in installed_parts().values():
        for reason in _misfits(installed, fitting):
            raise StartError(f"{installed}: {reason}")
        fitting.append(installed.gives.part)
    return tuple(fitting)


def _misfits(installed: InstalledPart, others: Sequence[Part]) -> Iterator[str]:
    """Say why a part does not fit beside ours and those before it."""
    if not isinstance(installed.gives, Extension):
        yield f"gives a {type(installed.gives).__name__}, and must give an aggregator.extension.Extension"
        return
    part = installed.gives.part
    if part.name != installed.name:
        yield f"its Part is called {part.name}, its entry point {installed.name}: they must be the same"
    if part.name in OUR_SOURCES | {each.name for each in CLUSTERS.parts}:
        yield f"the service has a part or source {part.name} of its own"
    yield from _misnamed_tables(part)
    taken = BY_NAME.keys() | {family.name for other in others for family in _families(other)}
    for family in _families(part):
        if family.name in taken or family.name.startswith(_OUR_FAMILIES):
            yield f"the family {family.name} is there already, or its name is the service's own"
    try:
        clusters_with((*others, part))
    except DeclarationError as error:
        yield str(error)


def _misnamed_tables(part: Part) -> Iterator[str]:
    for table in part.tables:
        if table.name in _OUR_PATHS:
            yield f"the path of its table {table.name} is there already: {LISTS_PATH}{table.name}"
        if table.collect in _OUR_GROUPS:
            yield f"its table {table.name} collects {table.collect}, which is a group of the service's own"
        if _SCOPE in {*table.labels, *(label for family in table.families for label in family.labels)}:
            yield f"its table {table.name} has a label {_SCOPE}, which every family has anyway"
        for column in sorted(PARAMETERS & {*table.labels.values()}):
            yield f"its table {table.name} has labels by the column {column}, which is a parameter of every list"


def _families(part: Part) -> Iterator[Family]:
    """Give the families of its tables, and of the columns that it adds to others."""
    for table in part.tables:
        yield from table.families
    for columns in part.columns.values():
        yield from (column.sample.family for column in columns if column.sample)


def sources_of_others(sections: Mapping[str, Section], lend: Callable[[str], Lent]) -> Sources:
    """Make the sources of the parts that a cluster has sections of, by part; lend is given the part's name.

    Raises ConfigError for one that cannot be made.
    """
    return {name: tuple(_sources(name, section, lend(name))) for name, section in sections.items()}


def _sources(name: str, section: Section, lent: Lent) -> Iterator[Source[object]]:
    extension: Extension[Section] = installed_parts()[name].gives
    try:
        made = tuple(extension.sources(section, lent))
    except Exception as error:
        raise _unusable(lent.key, f"its sources cannot be made: {type(error).__name__}: {error}") from error
    for source in made:
        if source.name in OUR_SOURCES or not f"{source.name}_".startswith(f"{name}_"):
            raise _unusable(lent.key, f"its source {source.name} must be called {name}, or {name}_ and more")
        yield source


def _unusable(key: str, message: str) -> ConfigError:
    return ConfigError([Mistake("", None, key, message)])
