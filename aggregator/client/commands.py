"""The parsers of the commands for people. What a command does is imported when it runs."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aggregator.client.settings import DEFAULT_SECONDS, DEFAULT_URL, SETTINGS

if TYPE_CHECKING:
    from aggregator.client.output import Make

_EXITS: Final = """exit codes:
  0  success
  1  not known to the service, or not shown to you
  2  a mistake in the configuration or the flags, which is named on stderr
  3  the service cannot be reached, or has no answer now"""
_DIGEST_SECONDS: Final = 2.0
_WATCH_SECONDS: Final = 5.0
_USUAL_LIMIT, _USUAL_RANKS = 50, 20
_STATES: Final = (
    "all", "pending", "running", "suspended", "completed", "cancelled", "failed", "timeout", "node_fail", "preempted",
    "boot_fail", "deadline", "out_of_memory", "requeued", "resizing", "revoked",
)  # fmt: skip
# A field that is a filter with a flag of its own → what it means.
_FILTERS: Final = {
    "user": "jobs of this user; commas for several",
    "account": "jobs of this account; commas for several",
    "state": "in this state; commas for several",
    "partition": "in this partition; commas for several",
    "reason": "found by this rule of waste; commas for several",
    "severity": "critical or warning",
    "node": "these nodes, as a host list",
}
# The list of a command → its filters that have a flag.
_OWN: Final = {
    "jobs": ("user", "account", "state", "partition", "reason", "severity"),
    "top": ("user", "account", "state", "partition"),
    "waste": ("user", "account", "partition", "reason", "severity"),
    "nodes": ("node", "state"),
}
_SORTED_BY: Final = ("wasted_gpus", "wasted_cpus", "wasted_memory_bytes", "wasted_gpu_seconds", "wasted_cpu_seconds",
                     "elapsed_seconds", "cpu_efficiency_ratio", "memory_efficiency_ratio")  # fmt: skip
_GROUPS: Final = ("user", "account", "user,account", "partition", "job_name")
_METAVARS: Final = {"url": "URL", "cluster": "NAME", "timeout": "SECONDS"}


class Offered:
    """The type of a flag that takes any text, and of which a shell completes some."""

    def __init__(self, *offered: str) -> None:
        self.offered = offered

    def __call__(self, text: str) -> str:
        """Give the text as it is: the service says what is wrong with it, and suggests another."""
        return text


_ASCENDING_TOO: Final = Offered(*(f"{sign}{name}" for name in _SORTED_BY for sign in ("-", "")))
_OFFERED: Final = {"state": Offered(*_STATES), "severity": Offered("critical", "warning")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Help:
    """What a command's help says."""

    name: str
    text: str
    about: str
    example: str


HELPS: Final = {
    each.name: each
    for each in (
        Help(
            name="jobs", text="list jobs with what they use and waste",
            about="Running jobs, unless --state says another. ! after a rule's name is critical. A dash is not known.",
            example="hpc-aggregator jobs --account def-kim --sort -wasted_gpu_seconds",
        ),
        Help(
            name="job", text="show one job: its verdict, what it uses, and the lines to change",
            about="Lines to change rest on this run and earlier runs of the same user and job name, as they say.",
            example="hpc-aggregator job 4711003",
        ),
        Help(
            name="top", text="rank users, accounts or others by what their running jobs waste now",
            about="Sums are of what is known: of jobs that are not observed nothing is added.",
            example="hpc-aggregator top --by account --watch 30",
        ),
        Help(
            name="account", text="show an account: its jobs, waste, fair share and limits",
            about="Limits of which the use is not known are left out.",
            example="hpc-aggregator account def-kim",
        ),
        Help(
            name="user", text="show a user: jobs, waste, fair share and limits under each account",
            about="Without a name it is you. Limits of which the use is not known are left out.",
            example="hpc-aggregator user",
        ),
        Help(
            name="quota", text="show what is stored, and out of which quota",
            about="Your quotas and those of the groups that you may see, the fullest first.",
            example="hpc-aggregator quota --filesystem project --of groups",
        ),
        Help(
            name="waste", text="list the jobs that a rule of waste has found, the worst first",
            about="Running jobs. ! after a rule's name is critical.",
            example="hpc-aggregator waste --reason gpu_unused",
        ),
        Help(
            name="nodes", text="list nodes with what is allocated of them",
            about="Compute, login and transfer nodes.",
            example="hpc-aggregator nodes --state down,drained",
        ),
        Help(
            name="digest", text="say in a few lines what you used and wasted, your quota and your fair share",
            about="For a login node's message of the day. It ends after --timeout, whatever hangs.",
            example="hpc-aggregator digest --days 7 --quiet-if-down",
        ),
        Help(
            name="explain", text="say why a job is judged as it is",
            about="The verdict, every rule with what it compares, and every value with the query that made it.",
            example="hpc-aggregator explain 4711003",
        ),
    )
}  # fmt: skip


def joined(arguments: Sequence[str]) -> list[str]:
    """Write `--sort -FIELD` as one word: a value that begins with a dash is a flag to argparse."""
    found: list[str] = []
    for each in arguments:
        if found and found[-1] == "--sort" and each.startswith("-") and not each.startswith("--"):
            found[-1] = f"--sort={each}"
        else:
            found.append(each)
    return found


def add_commands(commands: Any) -> None:
    """Add the commands for people to a parser's subcommands."""
    for name in ("jobs", "top", "waste", "nodes"):
        _add_list(commands, name)
    for name in ("job", "explain"):
        command = _add(commands, name)
        command.add_argument("job", metavar="ID", help="123, 123_4 or 123+1; the newest run that you may see")
    _add(commands, "account", csv=True).add_argument("account", metavar="ACCOUNT", help="as Slurm calls it")
    _add(commands, "user", csv=True).add_argument("user", nargs="?", metavar="USER", help="default: you")
    command = _add(commands, "quota", csv=True)
    command.add_argument("--user", help="whose quotas, beside those of groups (default: yours)")
    command.add_argument("--filesystem", metavar="NAME", help="of this file system alone")
    command.add_argument("--of", choices=("users", "groups"), help="only these")
    command = _add(commands, "digest", seconds=_DIGEST_SECONDS)
    command.add_argument("--user", help="whose digest (default: yours)")
    command.add_argument("--days", type=_count(366), default=7, metavar="N", help="how far back (default: %(default)s)")
    command.add_argument(
        "--quiet-if-down", action="store_true", help="say nothing, with exit code 0, instead of code 3"
    )


def _add_list(commands: Any, name: str) -> None:
    command = _add(commands, name, csv=True)
    for each in _OWN[name]:
        command.add_argument(f"--{each}", type=_OFFERED.get(each, str), help=_FILTERS[each])
    if name == "top":
        command.add_argument(
            "--by", type=Offered(*_GROUPS), default="user", metavar="FIELDS", help="such as account (default: user)"
        )
    command.add_argument(
        "--filter", dest="filters", action="append", default=[], metavar="KEY=VALUE",
        help="any filter of the API, such as min_wasted_gpus=1; may be repeated",
    )  # fmt: skip
    command.add_argument(
        "--sort", type=_ASCENDING_TOO, metavar="FIELDS", help="any field of the API; - before it for the largest first"
    )
    command.add_argument("--fields", metavar="FIELDS", help="these fields of the API in place of the usual columns")
    usual = _USUAL_RANKS if name == "top" else _USUAL_LIMIT
    command.add_argument(
        "--limit", type=_count(1_000_000), metavar="N", help=f"at most so many rows (default: {usual})"
    )
    command.set_defaults(usual=usual, own=_OWN[name])


def _add(commands: Any, name: str, *, csv: bool = False, seconds: float | None = None) -> argparse.ArgumentParser:
    about = HELPS[name]
    summary = f"{about.text[0].upper()}{about.text[1:]}."
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=about.text, description=f"{summary}\n{about.about}",
        epilog=f"example:\n  {about.example}\n\n{_EXITS}",
    )  # fmt: skip
    forms = command.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="print the data of the API's answer")
    if csv:
        forms.add_argument("--csv", action="store_true", help="print the API's CSV: the whole list")
    forms.add_argument(
        "--watch", nargs="?", type=_interval, const=_WATCH_SECONDS, metavar="SECONDS",
        help=f"draw it again until Ctrl-C (every {_WATCH_SECONDS:g} s)",
    )  # fmt: skip
    group = command.add_argument_group("the service")
    for setting, (flag, variable, meaning) in SETTINGS.items():
        default = {"url": DEFAULT_URL, "timeout": f"{seconds or DEFAULT_SECONDS:g}"}.get(setting)
        notes = ", ".join(filter(None, (variable and f"also {variable}", default and f"default: {default}")))
        said = f"{meaning} ({notes})" if notes else meaning
        group.add_argument(flag, dest=setting, metavar=_METAVARS.get(setting, "FILE"), help=said)
    command.set_defaults(run=_runner(name), seconds=seconds)
    return command


def _runner(name: str) -> Callable[[argparse.Namespace], int]:
    def run(flags: argparse.Namespace) -> int:
        from aggregator.client.output import run as run_command

        return run_command(_made(name), flags)

    return run


def _made(name: str) -> "Make":
    """Import a command, and nothing of the others."""
    if name == "job":
        from aggregator.client.job import job_command as made
    elif name == "explain":
        from aggregator.client.explain import explain_command as made
    elif name == "quota":
        from aggregator.client.quota import quota_command as made
    elif name == "digest":
        from aggregator.client.digest import digest_command as made
    elif name == "account":
        from aggregator.client.standing import account_command as made
    elif name == "user":
        from aggregator.client.standing import user_command as made
    else:
        from aggregator.client.listing import LISTINGS, listing_command

        return listing_command(LISTINGS[name])
    return made


def _count(most: int) -> Callable[[str], int]:
    def count(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"must be from 1 to {most}, got {text!r}")
        return int(text)

    return count


def _interval(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"must be seconds from 1 to 86400, got {text!r}")
    return seconds
