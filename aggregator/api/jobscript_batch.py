"""The batch of scripts that an agent posts: read strictly, each script by itself. Pure, for it runs in a thread."""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
import orjson
from msgspec import Meta, Struct

from aggregator.api.errors import BadData
from aggregator.api.representation import Json
from aggregator.model.script import ScriptRecord

MAX_SCRIPT_MIB: Final = 8
MAX_SCRIPTS: Final = 10_000
_MAX_SCRIPT_BYTES: Final = MAX_SCRIPT_MIB * 2**20
_SHOWN = 100


class ScriptPosted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A script of a batch: sha256 is that of the content, size what it had before it was cut or anything was hidden."""

    job_id: Annotated[int, Meta(ge=1, lt=2**32)]
    written_at: Annotated[float, Meta(ge=0, le=2.0**40)]
    content_base64: str
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    size: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    truncated: bool = False
    redactions: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0


class BatchPosted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A batch of scripts."""

    scripts: Annotated[list[ScriptPosted], Meta(max_length=MAX_SCRIPTS)]


@dataclass(frozen=True, slots=True)
class Batch:
    """The scripts that can be kept with their contents, and those that cannot with the reason."""

    scripts: list[tuple[ScriptRecord, bytes]]
    rejected: list[Json]


def read_batch(body: bytes) -> Batch:
    """Read a batch; one wrong script does not make the others fail.

    Raises BadData for what is not a batch, and for a field that is not known, which is named.
    """
    items = _items(body)
    batch = Batch([], [])
    for position, item in enumerate(items):
        if not isinstance(item, dict):
            raise BadData(f"scripts[{position}]: must be an object")
        _check_fields(f"scripts[{position}].", item, ScriptPosted)
        try:
            batch.scripts.append(_read_script(item))
        except ValueError as error:
            batch.rejected.append(
                {"job_id": _number(item.get("job_id")), "sha256": _name(item.get("sha256")), "error": str(error)}
            )
    return batch


def _items(body: bytes) -> list[Any]:
    try:
        batch = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadData(f"the body is not JSON: {error}") from None
    if not isinstance(batch, dict):
        raise BadData('the body: must be an object such as {"scripts": []}')
    _check_fields("", batch, BatchPosted)
    items = batch.get("scripts")
    if not isinstance(items, list) or len(items) > MAX_SCRIPTS:
        raise BadData(f"scripts: must be a list of at most {MAX_SCRIPTS}")
    return items


def _check_fields(place: str, item: dict[str, Any], of: type[Struct]) -> None:
    for name in item:
        if name not in of.__struct_fields__:
            raise BadData(f"{place}{name[:_SHOWN]}: unknown field; known are {', '.join(sorted(of.__struct_fields__))}")


def _read_script(item: dict[str, Any]) -> tuple[ScriptRecord, bytes]:
    """Read one script, or raise ValueError that names the field."""
    try:
        script = msgspec.convert(item, ScriptPosted)
    except msgspec.ValidationError as error:
        raise ValueError(reword(str(error), "the script")) from None
    content = _decode(script.content_base64)
    digest = hashlib.sha256(content).hexdigest()
    if digest != script.sha256:
        raise ValueError(f"sha256: is not that of the content, which is {digest}")
    record = ScriptRecord(
        job_id=script.job_id,
        written_at=script.written_at,
        sha256=digest,
        size=script.size,
        truncated=script.truncated,
        redactions=script.redactions,
    )
    return record, content


def _decode(text: str) -> bytes:
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("content_base64: is not base64") from None
    if len(content) > _MAX_SCRIPT_BYTES:
        raise ValueError(f"content_base64: the script is larger than {MAX_SCRIPT_MIB} MiB")
    return content


def reword(error: str, what: str) -> str:
    """Put the field first: msgspec writes ``Expected `int`, got `str` - at `$.job_id```; what is the whole object."""
    text, _, place = error.partition(" - at `$.")
    return f"{place.rstrip('`')}: {text[:1].lower()}{text[1:]}" if place else text.replace("Object", what, 1)


def _number(value: object) -> int | None:
    """Give back a job id, whatever else is wrong with it."""
    return value if type(value) is int else None


def _name(value: object) -> str | None:
    """Give back a hash that is short enough to be one."""
    return value if isinstance(value, str) and len(value) <= _SHOWN else None
