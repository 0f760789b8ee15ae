"""A reload takes up every key of the configuration, or names it: nothing is ignored without a word."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic.fields import FieldInfo

from aggregator.app.parts import parts_of
from aggregator.app.serve import ConfiguredService, timing_of
from aggregator.config import Config, ListenAddress, Secret, SecretFile, Section, changed_keys, load, needs_restart

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
PLAIN = (str, int, float, Path, frozenset, tuple, Mapping, Section, type(None))


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Load the example with every key that it has in a comment."""
    folder = tmp_path_factory.mktemp("config")
    text = (EXAMPLES / "hpc-aggregator.yml").read_text()
    for name in re.findall(r"/run/secrets/(\w+)", text):
        (folder / name).write_text("hunter2" * 5 + "\n")
        (folder / name).chmod(0o600)
    (folder / "waste.yml").write_text((EXAMPLES / "waste.yml").read_text())
    text = re.sub(r"^(\s*)#(\s*[A-Za-z0-9_-]+:)", r"\1\2", text, flags=re.MULTILINE)
    (folder / "config.yml").write_text(text.replace("/run/secrets", str(folder)))
    return load(folder / "config.yml")


def variants(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Give the value once for each key in it, with that key changed, and the key's path."""
    if isinstance(value, Section):
        for key, field in type(value).model_fields.items():
            of_key, now = f"{path}.{key}".lstrip("."), getattr(value, key)
            new = absent(field) if now is None else None
            for inner, changed in variants(now, of_key) if new is None else [(of_key, new)]:
                yield inner, value.model_copy(update={key: changed})
    elif isinstance(value, Mapping) and value:
        for key, item in value.items():
            for inner, changed in variants(item, f"{path}.{key}"):
                yield inner, {**value, key: changed}
    else:
        yield path, other(value)


def absent(field: FieldInfo) -> Section | None:
    """Give a section that is not in the configuration, as it would be without any key."""
    return next((kind.model_construct() for kind in sections(field.annotation)), None)


# The first type that fits; the result is of the same type where that matters to who reads it.
OTHERS: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (bool, lambda value: not value),
    (ListenAddress, lambda _: ListenAddress("127.0.0.1", 1)),
    (int, lambda value: value + 1),
    (float, lambda value: value + 1),
    (Path, lambda value: value / "x"),
    (Secret, lambda value: type(value)(value.get() + "x")),
    (SecretFile, lambda value: SecretFile(value.path / "x")),
    (str, lambda value: value + "x"),
    (tuple, lambda value: () if value else "another"),
    (Mapping, lambda _: {"another": "another"}),
    (object, lambda _: "another"),
)


def other(value: Any) -> Any:
    """Give another value."""
    return next(change(value) for kind, change in OTHERS if isinstance(value, kind))


def of_a_section(kind: type[Section]) -> Iterator[type[Section]]:
    yield kind
    for field in kind.model_fields.values():
        for part in sections(field.annotation):
            yield from of_a_section(part)


def sections(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for argument in get_args(annotation):
        yield from sections(argument)


def in_force(config: Config) -> list[object]:
    """Give all that a reload takes up, on an address that all may reach."""
    settings = ConfiguredService("", config, [ListenAddress("", 9850)], None).settings
    return [
        parts_of(config, timing_of(config)),
        timing_of(config).retention,
        config.log,
        *(plain(getattr(settings, field.name)) for field in fields(settings) if field.name not in ("upkeep", "ways")),
        *(plain(getattr(settings.ways, field.name)) for field in fields(settings.ways)),
    ]


def plain(value: object) -> object:
    """Give what can be compared: of the service's objects that do not say when they are equal, what they hold."""
    if isinstance(value, PLAIN) or is_dataclass(value):
        return value
    if not type(value).__module__.startswith("aggregator."):
        return None
    return {name: plain(item) for name, item in vars(value).items()}


def test_every_key_is_taken_up_or_named(config: Config) -> None:
    before = in_force(config)
    assert in_force(config) == before
    ignored, named, taken = [], [], []
    for path, changed in variants(config):
        assert [key.startswith(path) for key in changed_keys(config, changed)] == [True]
        if needs_restart(config, changed):
            named.append(path)
        elif in_force(changed) != before:
            taken.append(path)
        else:
            ignored.append(path)
    assert ignored == []
    assert {"server.listen_address", "state.url"} <= set(named)
    assert {"server.external_url", "log.level", "auth.anonymous", "auth.tokens.file"} <= set(taken)


def test_the_walk_comes_to_every_section(config: Config) -> None:
    found = {type(config)}

    def walk(value: object) -> None:
        items = dict(value).values() if isinstance(value, Section) else value
        if isinstance(value, Section):
            found.add(type(value))
        if isinstance(value, Section | Mapping | tuple):
            for item in items.values() if isinstance(items, Mapping) else items:
                walk(item)

    walk(config)
    assert {kind.__name__ for kind in of_a_section(Config)} - {kind.__name__ for kind in found} == set()


def test_what_has_not_changed_needs_no_restart(config: Config) -> None:
    assert needs_restart(config, config) == ()
    assert list(changed_keys(config, config)) == []
