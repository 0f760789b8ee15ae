"""The demo's site: the same seed, the same clock."""

from collections.abc import Generator, Sequence
from pathlib import Path

from tests.differential.bench import Bench, Moment
from tests.lab.ports import LOOPBACK

# Any time will do; the cluster is made when the demo starts.
_START = 1_750_000_000.0
# Its interval of 5 s cannot be set.
_PACE = 5.0


def demo(bench: Bench) -> Generator[Moment, None, None]:
    """Let time go by, start it again with its state, and a day later, when it is another cluster.

    Usage is read every ten minutes, by whatever the cluster was advanced to by then: longer steps end with a restart.
    """
    with bench.pair("demo", _arguments, _START, _PACE) as pair:
        yield Moment("start", pair)
        for name, seconds in (("5 s later", 5.0), ("5 min later", 300.0)):
            pair.clock.set(pair.clock.at + seconds)
            yield Moment(name, pair)
        pair.clock.set(pair.clock.at + 2 * 3600.0)
        pair.settle()
        pair.restart()
        yield Moment("2 h later, restarted", pair)
        pair.clock.set(pair.clock.at + 86_400.0)
        pair.restart(kill=True)
        yield Moment("killed, and started a day later", pair)


def _arguments(root: Path, port: int) -> Sequence[str]:
    state = root / "state"
    state.mkdir(exist_ok=True)
    return "demo", f"--web.listen-address={LOOPBACK}:{port}", f"--state.dir={state}"
