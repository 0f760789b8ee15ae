"""What all inputs share: the editions, a folder, a MariaDB and a Prometheus."""

import copy
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.clock import Clock
from tests.differential.edition import Edition
from tests.differential.pair import ROUNDS, Arguments, Pair
from tests.lab.ports import LOOPBACK
from tests.scenarios.site import Servers

Config = Mapping[str, Any]
# Loops come round five times a second, and limits of time are four times as long, for a busy machine.
INTERVAL, _PACE = "50ms", 0.25


@dataclass(frozen=True)
class Moment:
    """A moment of an input at which both services are looked at, once their loops have come round so often."""

    name: str
    pair: Pair
    rounds: int = ROUNDS


@dataclass(frozen=True)
class Bench:
    """The two editions, a folder for what they keep, and the servers that inputs may fill."""

    editions: Sequence[Edition]
    root: Path
    servers: Servers

    def pair(self, name: str, arguments: Arguments, at: float, pace: float = _PACE) -> Pair:
        """Make two services, whose clock says *at*, and whose loops run *pace* times as fast as they think."""
        root = self.root / name
        root.mkdir()
        return Pair(self.editions, root, arguments, Clock(root / "clock", at), pace)

    def serve(self, name: str, config: Config, at: float) -> Pair:
        """Make two services with one configuration; their interval, address and state are set here."""

        def arguments(root: Path, port: int) -> Sequence[str]:
            own: dict[str, Any] = copy.deepcopy(dict(config))
            bounds = {"requests_per_second": 1000, "burst": 10_000}
            own["server"] = {"listen_address": f"{LOOPBACK}:{port}", "bounds": bounds}
            own["state"] = {"url": f"sqlite:///{root}/state.db"}
            own["refresh"]["interval"] = INTERVAL
            file = root / "config.yml"
            file.write_text(yaml.safe_dump(own, sort_keys=False))
            return "serve", f"--config.file={file}"

        return self.pair(name, arguments, at)


# Goes through the moments of an input, one after the other.
Input = Callable[[Bench], Generator[Moment, None, None]]
