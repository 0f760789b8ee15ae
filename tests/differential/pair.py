"""One service of each edition over the same inputs, by the same clock."""

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.clock import PINNED, Clock
from tests.differential.edition import Edition
from tests.differential.page import Difference, differences
from tests.differential.rounds import Rounds
from tests.lab.ports import free_port
from tests.lab.process import wait_until
from tests.lab.service import Service

# What one loop finds, another one may show a round later.
ROUNDS = 2
# What fails is asked less often than once in a round.
ROUNDS_AFTER_FAULT = 5
_OWN = "/metrics?collect[]=service"
_LEDGER_END = re.compile(r"^hpc_aggregator_ledger_window_timestamp_seconds\{.*\} (\S+)$", re.MULTILINE)
_FORMS = ("text/plain", "application/openmetrics-text; version=1.0.0")
_SECONDS = 300.0
_PAUSE = 0.05

# The folder and the port of a service → the arguments of the command.
Arguments = Callable[[Path, int], Sequence[str]]


class Half:
    """The service of one edition."""

    def __init__(self, edition: Edition, root: Path, arguments: Arguments, clock: Clock, pace: float) -> None:
        root.mkdir(parents=True)
        port = free_port()
        command = [str(edition.python), "-P", str(PINNED), str(clock.path), f"{pace:g}", "aggregator"]
        lab: Any = SimpleNamespace(root=root, service_port=port)
        self.service = Service(lab, root, [*command, *arguments(root, port)])
        self.service.daemon.environment["PYTHONPATH"] = str(edition.tree)
        self.rounds = Rounds()

    def look(self) -> int:
        """Look how often the loops have come round."""
        return self.rounds.look(self._page(_OWN))

    def ledger_end(self) -> float:
        """Give until when the ledger has added up, 0 before its first window."""
        match = _LEDGER_END.search(self._page(_OWN))
        return float(match[1]) if match else 0.0

    def pages(self) -> list[str]:
        """Read the whole page in each form."""
        return [self._page("/metrics", form) for form in _FORMS]

    def _page(self, path: str, form: str = _FORMS[0]) -> str:
        status, body = self.service.get(path, {"Accept": form})
        assert status == 200, f"{path}: {status} {body[:300]!r}"
        return body.decode()


class Pair:
    """The two, whose loops run *pace* times as fast as they think; a context manager that starts and stops them."""

    def __init__(
        self, editions: Sequence[Edition], root: Path, arguments: Arguments, clock: Clock, pace: float
    ) -> None:
        self.clock = clock
        self.halves = [Half(edition, root / edition.name, arguments, clock, pace) for edition in editions]

    def __enter__(self) -> "Pair":
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def restart(self, *, kill: bool = False) -> None:
        """End both, as a crash would when *kill* says so, and start them with the state that they have left."""
        for half in self.halves if kill else ():
            half.service.kill()
        self._end()
        self._start()

    def settle(self, rounds: int = ROUNDS) -> None:
        """Wait until both have read everything by the clock as it is, and nothing changes any more."""
        for half in self.halves:
            half.rounds = Rounds()

        def settled() -> bool:
            # To look costs the services as much as a small refresh.
            time.sleep(_PAUSE)
            # Both are looked at each time, or a round of one would be missed.
            return min([half.look() for half in self.halves]) >= rounds

        wait_until(settled, _SECONDS, "both services to settle")

    def wait_ledgers(self, beyond: float) -> None:
        """Wait until both ledgers are on their way: beyond epoch time *beyond*."""
        wait_until(lambda: all(half.ledger_end() > beyond for half in self.halves), _SECONDS, "both ledgers to go on")

    def compare(self) -> tuple[str, list[Difference]]:
        """Give this edition's page as text, and what differs in any form of the page."""
        old, new = (half.pages() for half in self.halves)
        found = [each for ours, theirs in zip(old, new, strict=True) for each in differences(ours, theirs)]
        return new[0], list(dict.fromkeys(found))

    def tail(self) -> str:
        """Give the ends of both logs."""
        return "\n".join(half.service.daemon.tail() for half in self.halves)

    def _start(self) -> None:
        for half in self.halves:
            half.service.daemon.launch()
        for half in self.halves:
            half.service.daemon.wait_ready()

    def _end(self) -> None:
        for half in self.halves:
            half.service.daemon.terminate()
        for half in self.halves:
            half.service.stop()
