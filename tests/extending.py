"""The worked examples of docs/extending.md, as files: the page is the only place where they are."""

import base64
import hashlib
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parents[1] / "docs" / "extending.md"
_FILE: Final = re.compile(r"^`([\w./-]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_EXPORTERS: Final = "aggregator/"


def files_of_the_page() -> Mapping[str, str]:
    """Give the files that the page has whole, by their paths."""
    return dict(_FILE.findall(PAGE.read_text()))


def gauge_files() -> Mapping[str, str]:
    """Give the files of the first example, which are in the service's tree."""
    return {path: text for path, text in files_of_the_page().items() if path.startswith(_EXPORTERS)}


def package_files() -> Mapping[str, str]:
    """Give the files of the second example, which are a package of their own."""
    return {path: text for path, text in files_of_the_page().items() if not path.startswith(_EXPORTERS)}


def write(files: Mapping[str, str], folder: Path) -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def install(files: Mapping[str, str], target: Path) -> None:
    """Make a wheel of a package's files and let pip install it: no build backend is needed, and no network."""
    project = tomllib.loads(files["pyproject.toml"])["project"]
    name, version = project["name"].replace("-", "_"), project["version"]
    wheel = target.parent / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    contents = {path: text for path, text in files.items() if path.startswith(f"{name}/")}
    contents |= {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "\n".join(_entry_points(project["entry-points"])),
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in contents.items():
            archive.writestr(path, text)
        archive.writestr(f"{info}/RECORD", "".join(_record(contents)) + f"{info}/RECORD,,\n")
    command = ["install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", f"--target={target}"]
    subprocess.run([sys.executable, "-m", "pip", *command, str(wheel)], check=True)


def _entry_points(groups: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    for group, entries in groups.items():
        yield f"[{group}]"
        yield from (f"{name} = {value}" for name, value in entries.items())


def _record(contents: Mapping[str, str]) -> Iterator[str]:
    for path, text in contents.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        yield f"{path},sha256={digest},{len(text.encode())}\n"
