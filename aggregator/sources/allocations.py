"""Read the allocations file: storage quotas, awards, and who may see which group or project; read when it changes."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from aggregator import executors
from aggregator.document.reading import read_document
from aggregator.document.types import Size
from aggregator.model.storage import Allocations, Award, StorageQuota
from aggregator.sources.base import FetchError


def _printable(name: str) -> str:
    """Refuse what UTF-8 has no bytes for: names become label values."""
    if not name.isprintable():
        raise ValueError("must be printable text")
    return name


_Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Name = Annotated[str, AfterValidator(_printable)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Award(_Strict):
    cpus: _Amount | None = None
    gpus: _Amount | None = None


class _Group(_Strict):
    bytes: Size | None = None
    inodes: Annotated[int, Field(ge=0)] | None = None
    users: list[_Name] = []


class _Project(_Strict):
    users: list[_Name] = []


class _File(_Strict):
    accounts: dict[_Name, _Award] = {}
    storage: dict[_Name, dict[_Name, _Group]] = {}
    cloud: dict[_Name, dict[_Name, _Project]] = {}


class AllocationsFile:
    """Watch one allocations file by its modification time and size."""

    name = "allocations"

    def __init__(self, path: Path) -> None:
        self.rows = 0
        self.features: Mapping[str, bool] = {}
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._read = Allocations(0.0)

    async def fetch(self, at: float) -> Allocations:
        """Give the file's content.

        Raises FetchError that names the file and the mistake.
        """
        try:
            status = await executors.run(executors.FILES, self._path.stat)
            seen = (status.st_mtime_ns, status.st_size)
            if seen != self._seen:
                # Parsing the quotas of 20,000 groups takes seconds: off the event loop.
                self._read = await executors.run(executors.FILES, _load, self._path)
                self._seen = seen
        except OSError as error:
            raise FetchError(f"allocations.file: cannot read {str(self._path)!r}: {error.strerror}") from error
        read = self._read
        self.rows = sum(map(len, (*read.quotas.values(), *read.project_members.values(), read.awards)))
        return replace(read, time=at)


def _load(path: Path) -> Allocations:
    return parse(path.read_bytes(), str(path))


def parse(content: bytes, file: str) -> Allocations:
    """Parse the YAML strictly; the time is that of the fetch.

    Raises FetchError that names every mistake.
    """
    document = read_document(content.decode(errors="replace"))
    if document.mistakes:
        path, line, message = document.mistakes[0]
        raise FetchError(f"{file}:{line}: {'.'.join(map(str, path)) or 'not YAML'}: {message}")
    try:
        data = _File.model_validate(document.data)
    except ValidationError as error:
        mistakes = "; ".join(
            f"{'.'.join(map(str, mistake['loc']))}: {mistake['msg'].lower()}" for mistake in error.errors()
        )
        raise FetchError(f"{file}: {mistakes}") from error
    quotas = {
        filesystem: {
            group: StorageQuota(quota.bytes, quota.inodes)
            for group, quota in groups.items()
            # Without a limit a group is here for its users only.
            if quota.bytes is not None or quota.inodes is not None or not quota.users
        }
        for filesystem, groups in data.storage.items()
    }
    awards = {account: Award(award.cpus, award.gpus) for account, award in data.accounts.items()}
    return Allocations(0.0, quotas, awards, _members(data.storage), _members(data.cloud))


def _members(owners: Mapping[str, Mapping[str, _Group | _Project]]) -> dict[str, dict[str, frozenset[str]]]:
    """Give the users by file system or cloud, and by group or project; what has none is left out."""
    found = {
        place: {name: frozenset(owner.users) for name, owner in of.items() if owner.users}
        for place, of in owners.items()
    }
    return {place: users for place, users in found.items() if users}
