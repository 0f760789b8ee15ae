"""What the types of answers are made of: an answer's data is declared where it is put together."""

from typing import Annotated, Any, TypedDict

import msgspec

Time = Annotated[str | None, msgspec.Meta(description="RFC 3339, in UTC.")]
Epoch = Annotated[float | None, msgspec.Meta(description="Seconds since 1970.")]
Json = dict[str, Any]


class Period(TypedDict):
    """From when until when."""

    start_time: Time
    start_timestamp_seconds: Epoch
    end_time: Time
    end_timestamp_seconds: Epoch


def row(of: str, more: str = "") -> Any:
    """Say that a value has the fields of a list's row, and those of a type; both are names of OpenAPI's components."""
    refs = [{"$ref": f"#/components/schemas/{name}"} for name in (of, more) if name]
    return msgspec.Meta(extra_json_schema=refs[0] if len(refs) == 1 else {"allOf": refs})
