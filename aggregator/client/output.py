"""How a command is run: which cluster, and JSON, CSV, a drawing, or one that is made anew."""

import argparse
import codecs
import os
import pwd
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aggregator.client.errors import OK, ClientError, Misused, Unreachable
from aggregator.client.printable import as_json, printable
from aggregator.client.screen import Screen, screen
from aggregator.client.service import Answer, Api, Call, named
from aggregator.client.settings import settled


@dataclass(frozen=True, slots=True)
class Display:
    """What a command draws of answers, and what is missing from them."""

    draw: Callable[[Screen], None]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """What a command gives in each form; one that is not there has no flag."""

    json: Callable[[], Answer]
    draw: Callable[[], Display]
    csv: Callable[[], Call] | None = None


Make = Callable[[argparse.Namespace, Api], Command]


def run(make: Make, flags: argparse.Namespace) -> int:
    """Run a command; give its exit code."""
    try:
        _run(make, flags)
    except ClientError as error:
        if isinstance(error, Unreachable) and getattr(flags, "quiet_if_down", False):
            return OK
        print(printable(str(error)), file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever reads has seen enough; Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return OK


def _run(make: Make, flags: argparse.Namespace) -> None:
    where = settled(vars(flags), os.environ, flags.seconds)
    service = Api(where)
    on = screen()
    if getattr(flags, "csv", False):
        asked = make(flags, service).csv
        assert asked
        _write_csv(service, asked(), on)
    elif flags.json:
        answer = make(flags, service).json()
        print(as_json(answer.data), flush=True)
        on.warn(answer.warnings)
    elif flags.watch:
        on.watch(lambda now: _draw(make(flags, Api(where)), now), flags.watch, time.sleep)
    else:
        command = make(flags, service)
        with on.console.capture() as drawn:
            warnings = _draw(command, on)
        # In one piece, and whoever has read enough is told apart from a mistake.
        print(drawn.get(), end="", flush=True)
        on.warn(warnings)


def _draw(command: Command, on: Screen) -> tuple[str, ...]:
    """Draw what a command gives; give what is missing from it."""
    drawn = command.draw()
    drawn.draw(on)
    return drawn.warnings


def _write_csv(service: Api, asked: Call, on: Screen) -> None:
    """Write CSV as it comes; to a terminal without what would command it."""
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    sys.stdout.flush()
    for piece in service.csv(asked.having(format="csv")):
        if on.is_terminal:
            sys.stdout.write("\n".join(map(on.safe, decode(piece).split("\n"))))
        else:
            sys.stdout.buffer.write(piece)
    sys.stdout.flush()


def cluster_of(service: Api) -> str:
    """Choose the cluster: as set, else the only one that there is, else Slurm's own name of it.

    Raises ClientError.
    """
    if service.where.cluster:
        return service.where.cluster
    names = [str(each["cluster"]) for each in service.ask(Call("/clusters")).data["clusters"]]
    of_slurm = os.environ.get("SLURM_CLUSTER_NAME", "")
    if len(names) == 1:
        return names[0]
    if of_slurm in names:
        return of_slurm
    raise Misused(f"--cluster: which one? This service has: {', '.join(map(printable, names)) or 'none'}")


def of_cluster(service: Api, path: str) -> str:
    """Give a path of the chosen cluster."""
    return f"/clusters/{named(cluster_of(service))}{path}"


@dataclass(frozen=True, slots=True)
class Who:
    """Whose data are asked for, and whether the caller sees those of others too."""

    user: str
    is_staff: bool


def who_is(service: Api, user: str | None) -> Who:
    """Give the user that is asked for, else as whom the service knows the caller, else who runs the command.

    Raises ClientError.
    """
    caller: dict[str, Any] = service.ask(Call("/whoami")).data
    return Who(user or caller["user"] or _login(), caller["staff"])


def _login() -> str:
    """Give the name by which the caller is logged in."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        raise Misused("--user: who are you? This host has no name for you") from None
