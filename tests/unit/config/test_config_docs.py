import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from aggregator.config import Config, Section, load

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "docs" / "configuration.md"
EXAMPLE = ROOT / "docs" / "examples" / "hpc-aggregator.yml"


def sections(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
        for field in annotation.model_fields.values():
            yield from sections(field.annotation)
    for argument in get_args(annotation):
        yield from sections(argument)


def keys() -> set[str]:
    return {key for section in sections(Config) for key in section.model_fields}


def test_every_key_is_documented() -> None:
    documented = set(re.findall(r"^[# -]*([a-z0-9_]+):", REFERENCE.read_text(), re.MULTILINE))

    assert keys() - documented == set()


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy the example with its secrets in a folder of the test."""
    for name in re.findall(r"/run/secrets/(\w+)", EXAMPLE.read_text()):
        (tmp_path / name).write_text("hunter2" * 5 + "\n")
        (tmp_path / name).chmod(0o600)
    copy = tmp_path / "hpc-aggregator.yml"
    copy.write_text(EXAMPLE.read_text().replace("/run/secrets", str(tmp_path)))
    return copy


@pytest.fixture
def rules(tmp_path: Path) -> None:
    """Put the example of a site's rules where the example of a configuration names it."""
    (tmp_path / "waste.yml").write_text((EXAMPLE.parent / "waste.yml").read_text())


def test_example_loads(example: Path) -> None:
    config = load(example)

    assert all(warning.endswith("accepted, not used by this version") for warning in config.warnings)
    assert list(config.clusters) == ["narval"]


@pytest.mark.usefixtures("rules")
def test_example_loads_with_every_commented_key(example: Path) -> None:
    lines = example.read_text().splitlines()
    example.write_text("\n".join(re.sub(r"^(\s*)#(\s*[A-Za-z0-9_-]+:)", r"\1\2", line) for line in lines))

    config = load(example)

    assert config.auth is not None
    assert config.auth.trusted_proxy is not None
    assert config.energy.tariff.currency == "CAD"
    assert len(config.waste_exemptions) == 2
    assert "large_and_idle" in {rule.name for rule in config.waste_rules}
