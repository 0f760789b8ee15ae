"""Label fragments: the escaped `a="x",b="y"` of an entity, made once and used by all its families."""

from collections.abc import Sequence

ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def shorten(value: str, size: int) -> str:
    """Cut a value to so many bytes of UTF-8, at the end of a character; to none where the size is 0."""
    encoded = value.encode(errors="replace")
    return value if len(encoded) <= size else encoded[:size].decode(errors="ignore")


def fragment(names: Sequence[str], values: Sequence[str]) -> str:
    """Write label pairs with escaped values; an empty value is no label, as Prometheus sees it."""
    return ",".join(f'{name}="{value.translate(ESCAPES)}"' for name, value in zip(names, values, strict=True) if value)
