"""Read the allocations file: storage quotas per group and awards per account; read again when it changes."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aggregator.config.types import Size
from aggregator.model.storage import Allocations, Award, StorageQuota
from aggregator.sources.base import FetchError

_Amount = Annotated[float, Field(ge=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Award(_Strict):
    cpus: _Amount | None = None
    gpus: _Amount | None = None


class _Quota(_Strict):
    bytes: Size | None = None
    inodes: Annotated[int, Field(ge=0)] | None = None


class _File(_Strict):
    accounts: dict[str, _Award] = {}
    storage: dict[str, dict[str, _Quota]] = {}


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
    try:
        data = _File.model_validate(yaml.safe_load(content) or {})
    except yaml.YAMLError as error:
        raise FetchError(f"{file}: not YAML: {' '.join(str(error).split())}") from error
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
