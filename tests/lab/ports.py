"""Free ports on the loopback interface."""

import random
import socket

from tests.lab.machine import claim_port

LOOPBACK = "127.0.0.1"

# Below Linux' range for outgoing connections (32768 and up): a port chosen here stays free
# while its server is stopped, so that a test can start the server again at the same place.
_FIRST, _LAST = 20000, 32000

_taken: set[int] = set()


def free_port() -> int:
    """Return a loopback port that nobody uses, a different one at each call, in whatever test run of this machine."""
    for port in random.sample(range(_FIRST, _LAST), 500):
        if port not in _taken and claim_port(port) and _can_bind(port):
            _taken.add(port)
            return port
    raise RuntimeError(f"no free port between {_FIRST} and {_LAST}")


def answers(port: int) -> bool:
    """Whether something listens on the loopback *port*."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((LOOPBACK, port)) == 0


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        # A port with connections in TIME_WAIT is free for the daemons, all of which set this.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
