"""Where the service is, and who asks: from flags, else variables, else the user's own file, else the default.

The token comes from a file that only its owner can read, or from a variable; no flag takes it, for others see flags.
"""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from aggregator.client.errors import Misused
from aggregator.client.printable import printable

DEFAULT_URL: Final = "http://127.0.0.1:9850"
DEFAULT_SECONDS: Final = 35.0
# Name of a setting → its flag, its variable ("" for none), and what it is.
SETTINGS: Final = {
    "url": ("--url", "HPC_AGGREGATOR_URL", "where the service is"),
    "cluster": ("--cluster", "HPC_AGGREGATOR_CLUSTER", "which cluster"),
    "token_file": ("--token-file", "HPC_AGGREGATOR_TOKEN_FILE", "a file with your token, which you alone can read"),
    "ca_file": ("--ca-file", "HPC_AGGREGATOR_CA_FILE", "a file with the CA of the service's certificate"),
    "timeout": ("--timeout", "", "seconds that a whole answer may take"),
}
_TOKEN: Final = "HPC_AGGREGATOR_TOKEN"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Where:
    """Where the service is, who asks, of which cluster, and how long it may take."""

    url: SplitResult
    token: str | None = field(repr=False)
    cluster: str | None
    ca_file: str | None
    timeout: float

    @property
    def named(self) -> str:
        """Name the service."""
        return f"{self.url.scheme}://{self.url.netloc}"


def folder_of(environment: Mapping[str, str]) -> Path:
    """Give the folder of the user's own settings."""
    above = environment.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(os.path.expanduser(above)) / "hpc-aggregator"


def settled(flags: Mapping[str, Any], environment: Mapping[str, str], seconds: float | None = None) -> Where:
    """Put together what the settings say; seconds is a command's own time limit, over which only its flag wins.

    Raises Misused.
    """
    folder = folder_of(environment)
    own = _own(folder / "client.toml")
    found = {name: _first(name, flags, environment, own) for name in SETTINGS}
    timeout, origin = found["timeout"]
    if seconds is not None and flags.get("timeout") is None:
        timeout = seconds
    token = environment.get(_TOKEN, "")
    by_file = found["token_file"]
    # A flag wins over the variable with the token itself.
    if by_file[1] == SETTINGS["token_file"][0] or not token:
        token = _token(by_file, folder)
    elif not _is_token(token):
        raise Misused(f"{_TOKEN}: must hold one token")
    return Where(
        _split(*found["url"]), token or None, found["cluster"][0], found["ca_file"][0],
        DEFAULT_SECONDS if timeout is None else _seconds(timeout, origin),
    )  # fmt: skip


def _first(
    name: str, flags: Mapping[str, Any], environment: Mapping[str, str], own: Mapping[str, Any]
) -> tuple[Any, str]:
    """Give what is set first, and who has set it."""
    flag, variable, _ = SETTINGS[name]
    if flags.get(name) is not None:
        return flags[name], flag
    if environment.get(variable):
        return environment[variable], variable
    return own.get(name), f"client.toml: {name}"


def _own(file: Path) -> dict[str, Any]:
    """Read the user's file, where there is one."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise Misused(f"{file} cannot be read: {error}") from error
    import tomllib

    try:
        own = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Misused(f"{file}: {printable(str(error))}") from error
    for name, value in own.items():
        if name not in SETTINGS:
            raise Misused(f"{file}: {printable(name)}: no such key; there are {', '.join(SETTINGS)}")
        if not isinstance(value, int | float if name == "timeout" else str) or isinstance(value, bool):
            raise Misused(f"{file}: {name}: must be a {'number' if name == 'timeout' else 'string'}")
    return own


def _seconds(value: Any, origin: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise Misused(f"{origin}: must be seconds, at most 3600, got {printable(str(value))!r}")
    return seconds


def _split(url: str | None, origin: str) -> SplitResult:
    url = url or DEFAULT_URL
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        usable = usable and url.isprintable() and " " not in url
    except ValueError:
        parts, usable = urlsplit(""), None
    if not usable:
        raise Misused(f'{origin}: must be like https://hpc.example.org:9850, got "{printable(url)}"')
    if parts.username is not None or parts.query or parts.fragment:
        raise Misused(f"{origin}: must have no user, password, query or fragment; a token is in a file")
    return parts


def _token(found: tuple[Any, str], folder: Path) -> str:
    """Read the token of the file that is named, else of the file `token` of the folder, where there is one."""
    name, origin = found
    file = folder / (os.path.expanduser(name) if name else "token") if origin.startswith("client") else Path(name)
    if not name and not file.exists():
        return ""
    try:
        with file.open(encoding="utf-8") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            token = opened.read(65_536).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Misused(f"{origin}: {file} cannot be read: {type(error).__name__}") from error
    if stat.S_ISREG(mode) and mode & 0o077:
        raise Misused(f"{origin}: others can read {file}: chmod 600 {file}")
    if not _is_token(token):
        raise Misused(f"{origin}: {file} must hold one token in one line")
    return token


def _is_token(token: str) -> bool:
    return bool(token) and token.isascii() and token.isprintable() and " " not in token
