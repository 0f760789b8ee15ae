"""What systemd is told of the service (man sd_notify), if it asks."""

import asyncio
import logging
import os
import socket
from collections.abc import Callable

_log = logging.getLogger(__name__)


def notify(state: str) -> None:
    """Send a state such as READY=1; does nothing where no systemd listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            # It is called in the event loop, and a listener that does not read must not stop us.
            sender.setblocking(False)
            sender.connect("\0" + address[1:] if address.startswith("@") else address)
            sender.send(state.encode())
    except OSError as error:
        _log.warning("systemd cannot be told: state=%s error=%s", state, error)


async def keep_watchdog(is_well: Callable[[], bool]) -> None:
    """Tell systemd that all is well, three times in its WatchdogSec, until cancelled; silence is what it acts on."""
    seconds = int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6
    if not seconds or os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return
    while True:
        if is_well():
            notify("WATCHDOG=1")
        await asyncio.sleep(seconds / 3)
