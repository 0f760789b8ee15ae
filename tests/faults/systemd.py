"""What systemd hears of the service by sd_notify."""

import socket
import time
from contextlib import suppress

from tests.scenarios.site import Site

WATCHDOG_SECONDS = 0.6


class Systemd:
    """Listen in systemd's place, with a WatchdogSec of WATCHDOG_SECONDS; to be made before the service starts."""

    def __init__(self, site: Site) -> None:
        address = str(site.root / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        site.environment.update(NOTIFY_SOCKET=address, WATCHDOG_USEC=f"{WATCHDOG_SECONDS * 1e6:.0f}")

    def hears(self, state: str) -> bool:
        """Wait until this is said; False when nothing is said for long."""
        self._socket.settimeout(20.0)
        with suppress(TimeoutError):
            while self._socket.recv(100).decode() != state:
                pass
            return True
        return False

    def falls_silent(self) -> bool:
        """Wait until nothing is said for five times WatchdogSec; False when something is for long."""
        self._socket.settimeout(5 * WATCHDOG_SECONDS)
        deadline = time.monotonic() + 20.0
        with suppress(TimeoutError):
            while time.monotonic() < deadline:
                self._socket.recv(100)
            return False
        return True

    def close(self) -> None:
        self._socket.close()
