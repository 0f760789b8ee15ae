"""A part of another package fits beside ours, or the start is refused with a sentence that names it."""

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aggregator.api.cluster_lists import cluster_lists
from aggregator.app.errors import StartError
from aggregator.app.extensions import OUR_SOURCES, parts_of_others, sources_of_others
from aggregator.app.layouts import CLUSTERS, clusters_with
from aggregator.app.serve import timing_of
from aggregator.app.site import open_site
from aggregator.config import ConfigError, installed, parse
from aggregator.engine.exposition import Folded
from aggregator.extension import Column, Extension, Family, Inputs, Lent, NodeNames, Part, Sample, Section, Table

ROOT = Path(__file__).resolve().parents[3]
TEXT = """
clusters:
  narval:
    slurmacct: { host: 127.0.0.1, user: a, password: b }
    prometheus: { url: "http://p:9090" }
    parts: { tapes: { drives: 3 } }
"""


class Tapes(Section):
    """Say how many drives there are."""

    drives: int


@dataclass
class Source:
    """A source that is never read."""

    name: str = "tapes"
    rows: int = 0
    features: dict[str, bool] = field(default_factory=dict)

    async def fetch(self, at: float) -> object:
        raise AssertionError(f"read at {at}")


def column(name: str = "mounted", family: str = "hpc_tape_mounted", labels: tuple[str, ...] = ()) -> Column:
    shown = Family(name=family, help="Tapes.", cost="libraries", source="library", labels=labels)
    return Column(
        name=name, dtype=pl.Float64, help="Tapes.", sample=Sample(family=shown, labels=dict.fromkeys(labels, "x"))
    )


def table(**changes: Any) -> Table:
    columns = (Column(name="library", dtype=pl.String, help="Name."), changes.pop("column", column()))
    return Table(**{"name": "tapes", "of": "library", "collect": "tapes", "labels": {"library": "library"},
                    "columns": columns, **changes})  # fmt: skip


def part(name: str = "tapes", **changes: Any) -> Part:
    return Part(**{"name": name, "join": lambda frames, inputs, at: {}, "tables": (table(),), **changes})


def extension(of: Part, sources: Sequence[Source] = (Source(),)) -> Extension[Tapes]:
    return Extension(part=of, section=Tapes, sources=lambda section, lent: sources)


Install = Callable[..., None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Give a function that installs extensions by name, as packages would."""
    found: list[_Entry] = []

    def clear() -> None:
        installed.installed_parts.cache_clear()
        installed.whole_config.cache_clear()

    def put(*more: _Entry, **gives: Any) -> None:
        found[:] = [*more, *(_Entry(name, given) for name, given in gives.items())]
        clear()

    monkeypatch.setattr(installed, "entry_points", lambda group: found)
    yield put
    clear()


class _Entry:
    """An entry point of the package site-parts."""

    def __init__(self, name: str, gives: Any) -> None:
        self.name, self.value, self._gives = name, "site_parts:IT", gives
        self.dist = type("Distribution", (), {"name": "site-parts", "version": "1.0"})

    def load(self) -> Any:
        if isinstance(self._gives, Exception):
            raise self._gives
        return self._gives


def test_a_part_of_others_comes_last_and_ours_are_as_they_are(install: Install) -> None:
    install(tapes=extension(part()))
    layout = clusters_with(parts_of_others())
    assert [each.name for each in layout.parts] == [*(each.name for each in CLUSTERS.parts), "tapes"]
    lists = [each.path for each in cluster_lists(layout, parts_of_others())]
    assert lists[-1] == "/api/v1/clusters/{cluster}/tapes"


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (part("drives"), "its Part is called drives, its entry point tapes"),
        (part(tables=(table(name="nodes"),)), "the path of its table nodes is there already"),
        (part(tables=(table(name="jobscripts"),)), "the path of its table jobscripts is there already"),
        (part(tables=(table(name="job_gpus"),)), "tapes: another part has a table job_gpus"),
        (part(tables=(table(collect="jobs"),)), "its table tapes collects jobs, which is a group of the service's own"),
        (part(tables=(table(collect="service"),)), "its table tapes collects service"),
        (part(tables=(table(labels={"cluster": "library"}),)), "its table tapes has a label cluster"),
        (part(tables=(table(column=column(labels=("cluster",))),)), "its table tapes has a label cluster"),
        (part(tables=(table(column=column(family="hpc_job_used_cpus")),)), "the family hpc_job_used_cpus is there"),
        (part(tables=(table(column=column(family="hpc_aggregator_up")),)), "the family hpc_aggregator_up is there"),
        (part(columns={"jobs": (column("used_cpus"),)}, tables=()), "jobs: two columns have one name"),
        (part(columns={"jobs": (column(family="hpc_job_used_cpus"),)}), "the family hpc_job_used_cpus is there"),
        (part(columns={"drives": (column(),)}, tables=()), "tapes: no part before it has a table drives"),
        (part(tables=(table(labels={"of": "limit"}, columns=(Column(name="limit", dtype=pl.Int64, help="N."),)),)),
         "its table tapes has labels by the column limit, which is a parameter of every list"),
    ],
)  # fmt: skip
def test_a_name_that_is_taken_is_refused(of: Part, said: str, install: Install) -> None:
    install(tapes=extension(of))
    with pytest.raises(StartError) as error:
        parts_of_others()
    assert str(error.value).startswith(f"part tapes (site-parts 1.0): {said}")


def test_two_parts_of_others_do_not_share_a_family(install: Install) -> None:
    other = part("drives", tables=(table(name="drives", collect="drives"),))
    install(tapes=extension(part()), drives=extension(other))
    with pytest.raises(StartError, match=r"part tapes .*: the family hpc_tape_mounted is there already"):
        parts_of_others()


def test_every_source_of_the_service_is_known_by_its_name() -> None:
    """A source of another package must not be taken for one of ours."""
    names = set()
    for file in (ROOT / "aggregator" / "sources").rglob("*.py"):
        for each in ast.walk(ast.parse(file.read_text())):
            if isinstance(each, ast.ClassDef) and any(getattr(part, "name", "") == "fetch" for part in each.body):
                names |= {
                    part.value.value
                    for part in each.body
                    if isinstance(part, ast.Assign)
                    and ast.unparse(part.targets[0]) == "name"
                    and isinstance(part.value, ast.Constant)
                }
    assert len(names) > 5
    assert names <= OUR_SOURCES


@pytest.mark.parametrize("name", sorted(OUR_SOURCES | {"jobs", "waste"}))
def test_the_names_of_our_parts_and_sources_are_taken(name: str, install: Install) -> None:
    install(**{name: extension(part(name))})
    with pytest.raises(StartError, match=f"the service has a part or source {name} of its own"):
        parts_of_others()


@pytest.mark.parametrize(
    ("gives", "said"),
    [
        (ImportError("no module named tape"), "cannot be loaded: ImportError: no module named tape"),
        (part(), "site_parts:IT is no aggregator.extension.Extension"),
    ],
)
def test_what_is_no_part_is_named(gives: Any, said: str, install: Install) -> None:
    install(tapes=gives)
    with pytest.raises(ConfigError) as error:
        parse(TEXT)
    assert str(error.value) == f"part tapes (site-parts 1.0): {said}"


def test_two_packages_do_not_bring_parts_of_one_name(install: Install) -> None:
    install(_Entry("tapes", extension(part())), tapes=extension(part()))
    with pytest.raises(
        ConfigError, match=r"part tapes \(site-parts 1.0\): site-parts 1.0 has a part of this name, too"
    ):
        parse(TEXT)


@pytest.mark.parametrize("name", ["Tapes", "model_fields", "tape-drives"])
def test_a_part_s_name_is_a_key(name: str, install: Install) -> None:
    install(**{name: extension(part())})
    with pytest.raises(ConfigError, match="not a name for a part"):
        parse(TEXT)


def test_a_part_s_section_is_read_strictly_and_shown(install: Install) -> None:
    install(tapes=extension(part()))
    assert parse(TEXT).clusters["narval"].parts.in_use == {"tapes": Tapes(drives=3)}
    assert parse(TEXT).model_dump(mode="json")["clusters"]["narval"]["parts"] == {"tapes": {"drives": 3}}
    with pytest.raises(ConfigError, match=r'config.yml:6: clusters.narval.parts.tapes.drivs: .*did you mean "drives"'):
        parse(TEXT.replace("drives", "drivs"))
    install()
    with pytest.raises(ConfigError, match=r"parts\.tapes: no part of this name is installed \(known: none\)"):
        parse(TEXT)


def lent(name: str) -> Lent:
    return Lent(
        cluster="narval", key=f"clusters.narval.parts.{name}", prometheus=None, matchers={}, nodes=NodeNames(),  # type: ignore[arg-type]
        at_the_end=lambda close: None,
    )  # fmt: skip


def test_sources_are_made_of_the_sections_that_a_cluster_has(install: Install) -> None:
    two = [Source(), Source("tapes_old")]
    install(tapes=extension(part(), two))
    assert sources_of_others({}, lent) == {}
    assert sources_of_others({"tapes": Tapes(drives=3)}, lent) == {"tapes": tuple(two)}


@pytest.mark.parametrize("name", ["drives", "tapestry", "slurm_exporter", "lustre"])
def test_a_source_has_the_name_of_its_part(name: str, install: Install) -> None:
    install(tapes=extension(part(), [Source(name)]))
    with pytest.raises(ConfigError) as error:
        sources_of_others({"tapes": Tapes(drives=3)}, lent)
    said = f"its source {name} must be called tapes, or tapes_ and more"
    assert str(error.value) == f"clusters.narval.parts.tapes: {said}"


def test_sources_that_cannot_be_made_are_an_error_of_the_section(install: Install) -> None:
    def fail(section: Tapes, lent: Lent) -> list[Source]:
        raise RuntimeError("no drive")

    install(tapes=replace(extension(part()), sources=fail))
    with pytest.raises(ConfigError, match=r"parts\.tapes: its sources cannot be made: RuntimeError: no drive"):
        sources_of_others({"tapes": Tapes(drives=3)}, lent)


async def test_a_part_is_lent_its_cluster_and_closed_with_it(install: Install) -> None:
    of: list[Lent] = []
    closed: list[str] = []

    async def close() -> None:
        closed.append("tapes")

    def sources(section: Tapes, lent: Lent) -> list[Source]:
        of.append(lent)
        lent.at_the_end(close)
        return [Source()]

    install(tapes=replace(extension(part()), sources=sources))
    text = TEXT.replace('"http://p:9090"', '"http://p:9090", matchers: { cluster: narval }')
    async with open_site(parse(text + TEXT.replace("narval", "beluga").replace("clusters:", "").replace(
        "parts: { tapes: { drives: 3 } }", "parts: {}"
    ))) as site:  # fmt: skip
        assert {name: [*each.parts] for name, each in site.clusters.items()} == {"narval": ["tapes"], "beluga": []}
        (lent,) = of
        assert (lent.cluster, lent.key) == ("narval", "clusters.narval.parts.tapes")
        assert (lent.matchers, lent.nodes.normalize("N1.example.org:9100")) == ({"cluster": "narval"}, "n1")
        assert closed == []
    assert closed == ["tapes"]


def test_the_tables_of_parts_have_a_bound_of_series(install: Install) -> None:
    def join(*_: Any) -> dict[str, pl.DataFrame]:
        return {"tapes": pl.DataFrame({"library": ["a", "b", "c"], "mounted": [1.0, 5.0, 3.0]})}

    install(tapes=extension(part(join=join, tables=(table(size="mounted"),))))
    layout = clusters_with(parts_of_others())
    limits = timing_of(parse(TEXT + "limits: { series: { parts: 1, jobs: 7 } }"), layout).series
    assert (limits["tapes"], limits["jobs"]) == (1, 7)
    folded = layout.fold(layout.join(Inputs(), 0.0).frames, limits, Folded())
    assert folded.frames["tapes"]["library"].to_list() == ["b"]
    assert folded.rests["tapes"]["mounted"].folded == 2


def test_a_part_of_others_that_fails_fails_alone(install: Install) -> None:
    def join(*_: Any) -> dict[str, pl.DataFrame]:
        raise RuntimeError("no drive")

    install(tapes=extension(part(join=join)))
    joined = clusters_with(parts_of_others()).join(Inputs(), 0.0)
    assert (list(joined.failed), joined.frames["tapes"].height) == (["tapes"], 0)
    assert joined.frames.keys() >= CLUSTERS.tables.keys()
