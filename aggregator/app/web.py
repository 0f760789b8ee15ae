"""The web configuration in force: it, its certificates and its users are taken up while the service runs."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aggregator.app.tls import server_tls
from aggregator.config import WebConfig, load_web, needs_restart

# How often the files are looked at. They are read once they have stayed the same for as long: they may be many.
CHECK_SECONDS: Final = 1.0
RESTART: Final = ("tls_server_config", "tls_server_config.client_auth_type", "tls_server_config.min_version")
"""Keys that handshakes are begun with, before a certificate is chosen."""
_Stamps = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read: as far as it can be in force now, and what needs a restart."""

    config: WebConfig
    tls: ssl.SSLContext | None
    needs_restart: tuple[str, ...]
    stamps: _Stamps


class Web:
    """Hold what is in force of one file: `users` are their names and hashes, `tls` is what to listen with."""

    def __init__(self, file: str) -> None:
        """Raise ConfigError for mistakes, StartError for certificates that cannot be used."""
        self.config = config = load_web(file)
        self.needs_restart: tuple[str, ...] = ()
        self.users = dict(config.basic_auth_users)
        self.tls = _context(config)
        self.file = file
        self._started = config
        self._files = _files(file, config)
        self._known = self._last = _stamps(self._files)
        self._chosen = self.tls
        if self.tls:
            self._follow(self.tls)

    def has_changed(self) -> bool:
        """Tell whether a file is another than what is known, and whoever writes it has come to an end."""
        before, self._last = self._last, _stamps(self._files)
        return self._last == before and self._last != self._known

    def pass_over(self) -> None:
        """Look at the files again when they are others than `has_changed` saw: these cannot be used."""
        self._known = self._last

    def read(self) -> Reading:
        """Read all files anew, which changes nothing yet.

        Raises ConfigError and StartError for what cannot be used.
        """
        # Before the reading: what is written meanwhile is another change.
        file, *_ = _stamps(self._files)
        config = load_web(self.file)
        self._files = _files(self.file, config)
        stamps = (file, *_stamps(self._files[1:]))
        pending = needs_restart(self._started, config, RESTART)
        if pending:
            config = config.model_copy(update={"tls_server_config": self.config.tls_server_config})
        return Reading(config, _context(config), pending, stamps)

    def take(self, reading: Reading) -> None:
        """Put in force what was read: for handshakes and passwords from now on."""
        self.config, self._chosen, self.needs_restart = reading.config, reading.tls, reading.needs_restart
        self._known = reading.stamps
        self.users.clear()
        self.users.update(reading.config.basic_auth_users)

    def _follow(self, tls: ssl.SSLContext) -> None:
        """Let each handshake begin with one context and go on with the newest; it is called without a name too."""

        def choose(connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> None:
            if self._chosen is not None:
                connection.context = self._chosen

        tls.sni_callback = choose


def _files(file: str, config: WebConfig) -> tuple[Path, ...]:
    tls = config.tls_server_config
    named = (tls.cert_file, tls.key_file, tls.client_ca_file) if tls else ()
    return (Path(file), *(path for path in named if path))


def _stamps(files: tuple[Path, ...]) -> _Stamps:
    return tuple(map(_stamp, files))


def _stamp(file: Path) -> tuple[int, ...]:
    try:
        status = file.stat()
    except OSError:
        return ()
    return status.st_mtime_ns, status.st_ino, status.st_size


def _context(config: WebConfig) -> ssl.SSLContext | None:
    return server_tls(config.tls_server_config) if config.tls_server_config else None
