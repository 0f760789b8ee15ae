"""What may reach a terminal: names that others have chosen cannot command it."""

import json
from typing import Any


def printable(text: str) -> str:
    """Write what is not to be printed as an escape: control characters, line ends, marks that turn the direction."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def ascii_only(text: str) -> str:
    """Write what is not ASCII as an escape."""
    return text.encode("ascii", "backslashreplace").decode()


def as_json(data: Any) -> str:
    """Write JSON in ASCII, without control characters."""
    return json.dumps(data, indent=2).replace("\x7f", "\\u007f")
