"""Read the allocations file: storage quotas per group and awards per account; read again when it changes."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from aggregator.config.document import read_document
from aggregator.config.types import Size
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


class _Quota(_Strict):
    bytes: Size | None = None
    inodes: Annotated[int, Field(ge=0)] | None = None


class _File(_Strict):
    accounts: dict[_Name, _Award] = {}
    storage: dict[_Name, dict[_Name, _Quota]] = {}


class AllocationsFile:
    """Watch one allocations file by its modification time and size."""

    name = "allocations"

    def __init__(self, path: Path) -> None:
        self.rows = 0
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._read: tuple[Mapping[str, Mapping[str, StorageQuota]], Mapping[str, Award]] = ({}, {})

    @property
    def features(self) -> Mapping[str, bool]:
        """Offer nothing optional."""
        return {}

    async def fetch(self, at: float) -> Allocations:
        """Give the file's content.

        Raises FetchError that names the file and the mistake.
        """
        try:
            status = await asyncio.to_thread(self._path.stat)
            seen = (status.st_mtime_ns, status.st_size)
            if seen != self._seen:
                self._read = parse(await asyncio.to_thread(self._path.read_bytes), str(self._path))
                self._seen = seen
        except OSError as error:
            raise FetchError(f"allocations.file: cannot read {str(self._path)!r}: {error.strerror}") from error
        quotas, awards = self._read
        self.rows = sum(map(len, quotas.values())) + len(awards)
        return Allocations(at, quotas, awards)


def parse(content: bytes, file: str) -> tuple[Mapping[str, Mapping[str, StorageQuota]], Mapping[str, Award]]:
    """Parse the YAML strictly into quotas by file system and group, and awards by account.

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
        filesystem: {group: StorageQuota(quota.bytes, quota.inodes) for group, quota in groups.items()}
        for filesystem, groups in data.storage.items()
    }
    return quotas, {account: Award(award.cpus, award.gpus) for account, award in data.accounts.items()}
