"""The two editions: where their code is, and which Python runs them."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
# The commit with which this one is compared: the end of step 2.
PREVIOUS = "361d929b3e05d3d309d8ada6761866634e173e35"
_CACHE = REPOSITORY / ".differential"


@dataclass(frozen=True)
class Edition:
    """A tree of the project's code, and the Python of its environment."""

    name: str
    tree: Path
    python: Path


def this_edition(tree: Path = REPOSITORY) -> Edition:
    """Give this edition, or a changed copy of it, run by the Python that runs us."""
    return Edition("new", tree, Path(sys.executable))


def previous_edition(commit: str = PREVIOUS) -> Edition:
    """Give the edition of a commit, unpacked from git and with an environment of its own pins; both are made once.

    Raises CalledProcessError where git does not have the commit, or the package registry does not answer.
    """
    folder = _CACHE / commit
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        _unpack(commit, folder / "tree")
        _install(folder / "tree/requirements/runtime.txt", folder / "venv")
        (folder / "complete").touch()
    return Edition("old", folder / "tree", folder / "venv/bin/python")


def _unpack(commit: str, tree: Path) -> None:
    tree.mkdir(parents=True)
    content = subprocess.run(["git", "archive", commit], cwd=REPOSITORY, check=True, stdout=subprocess.PIPE).stdout
    subprocess.run(["tar", "-x", "-C", tree], input=content, check=True)


def _install(pins: Path, venv: Path) -> None:
    """Install as the Makefile does."""
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    flags = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    subprocess.run([venv / "bin/python", "-m", "pip", "install", *flags, "-r", pins], check=True)
