"""The command `hpc-aggregator`: flags and exit codes.

What a command needs is imported when it runs: `--help`, `check` and `token` do not wait for the service's libraries.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aggregator.api.tokens.scope import KNOWN
from aggregator.app.errors import MISTAKES
from aggregator.build import version_text
from aggregator.client.commands import add_commands, joined
from aggregator.footprint import limit_footprint

if TYPE_CHECKING:
    from aggregator.app.check_report import Report
    from aggregator.config import Config
    from aggregator.document.types import ListenAddress

OK, FAILED, MISTAKE = 0, 1, 2
_DEFAULT_FILE = "hpc-aggregator.yml"
_DEMO_ADDRESS = "127.0.0.1:9850"

_SERVE = """SIGHUP and POST /-/reload read the configuration again; SIGTERM ends it within seconds."""
_CHECK = """Without --connect nothing is asked of any server. With it, each line begins with:
  up    it answers, and what it has
  warn  it answers, and something that is configured is not there
  down  it does not answer, or refuses"""
_CHECK_FAILED = "with --connect: something that serve needs does not answer"
_DEMO = """The same seed and size give the same cluster. It listens on loopback only.
More jobs (--jobs) have more nodes, GPUs, users, accounts and pending jobs. With more than 5,000 running jobs the site
is refreshed every 30 s, else every 5 s. A larger one begins with a shorter past: 4 h up to 1,250 running jobs, 15 min
with 20,000. With --state.dir it is the same cluster again for four times that long."""
_DEMO_JOBS, _MOST_JOBS = 900, 200_000
_ABOUT_TOKENS = (
    """The service takes a changed file over within seconds. Make tokens as the user that the service runs as."""
)
_NOT_WRITTEN = "create: the token was made, and its file could not be written"
_RULES = """Files that differ are replaced: keep rules of your own in other files. Reload Prometheus afterwards."""
_PARTS = """Of each: its package, the keys of its section, its families, and its lists of the API."""
_COMPLETION = """For bash:  source <(hpc-aggregator completion bash)
For zsh:   source <(hpc-aggregator completion zsh)"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 success, 1 a source that does not answer, 2 a mistake in configuration or flags."""
    flags = _parser().parse_args(arguments)
    try:
        code: int = flags.run(flags)
    except MISTAKES as error:
        print(error, file=sys.stderr)
        return MISTAKE
    return code


class _Parser(argparse.ArgumentParser):
    """A parser, also of subcommands, that knows flags by their whole names: --web.config would be another one later."""

    def __init__(self, **settings: Any) -> None:
        formatter = argparse.RawDescriptionHelpFormatter
        super().__init__(**{"formatter_class": formatter, **settings, "allow_abbrev": False})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Take a value that begins with a dash, as fields to sort by do."""
        return super().parse_known_args(joined(sys.argv[1:] if args is None else args), namespace)


class _Version(argparse.Action):
    """Print the version as Prometheus's commands do, in several lines."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(version_text(parser.prog))
        parser.exit(OK)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="hpc-aggregator",
        description="Join Slurm accounting, Robinhood and Prometheus, and give the result back as gauges and an API.",
        epilog=_exits(_CHECK_FAILED) + "\n`hpc-aggregator COMMAND --help` is about one command.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print version, revision and Python, and exit")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = _command(commands, "serve", "serve the configured site", _SERVE)
    _add_file(command)
    _add_listen(command)
    _add_web(command)
    _add_log(command)
    command.set_defaults(run=_serve)
    _add_check(
        _command(commands, "check", "check the configuration and say every mistake in it", _CHECK, _CHECK_FAILED)
    )
    _add_demo(_command(commands, "demo", "serve a synthetic cluster; needs no server and no configuration", _DEMO))
    _add_token(_command(commands, "token", "create, list and revoke bearer tokens", _ABOUT_TOKENS, _NOT_WRITTEN))
    add_commands(commands)
    command = _command(commands, "rules", "write the rules and Grafana boards of this version", _RULES)
    command.add_argument("--output", type=Path, required=True, metavar="DIR", help="the folder; it is made if need be")
    command.add_argument("--url", default="", help="the service's public address: where links of the boards lead")
    command.set_defaults(run=_rules)
    command = _command(commands, "parts", "print what parts of other packages are installed, as Markdown", _PARTS)
    command.set_defaults(run=_parts)
    command = _command(commands, "completion", "print a script that completes this command in a shell", _COMPLETION)
    command.add_argument("shell", choices=("bash", "zsh"))
    command.set_defaults(run=lambda flags: _completion(parser, flags))
    return parser


def _command(commands: Any, name: str, text: str, description: str, failed: str = "") -> argparse.ArgumentParser:
    """Add a command; failed is what exit code 1 means, where there is one."""
    summary = f"{text[0].upper()}{text[1:]}."
    made: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=f"{summary}\n{description}".strip(), epilog=_exits(failed)
    )
    return made


def _exits(failed: str) -> str:
    one = f"  1  {failed}\n" if failed else ""
    return f"exit codes:\n  0  success\n{one}  2  a mistake in the configuration or the flags, which is named on stderr"


def _add_check(command: argparse.ArgumentParser) -> None:
    _add_file(command)
    _add_listen(command)
    _add_web(command)
    command.add_argument(
        "--connect", action="store_true", help="also try every source, which series there are, the state, the address"
    )
    command.add_argument("--json", action="store_true", help="print one JSON document instead of lines")
    command.set_defaults(run=_check)
    kinds = command.add_subparsers(metavar="web-config")
    web = _command(kinds, "web-config", "check a file for --web.config.file instead", "")
    web.add_argument("web_config", metavar="FILE")
    web.set_defaults(run=_check_web)


def _add_web(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--web.config.file", dest="web_file", metavar="FILE", help="TLS and basic authentication, as exporters have it"
    )


def _add_demo(command: argparse.ArgumentParser) -> None:
    _add_listen(command)
    _add_log(command)
    command.add_argument(
        "--jobs", type=_jobs, default=_DEMO_JOBS, metavar="N",
        help="about so many running jobs, all else of the cluster in proportion (default: %(default)s)",
    )  # fmt: skip
    command.add_argument("--demo.seed", dest="seed", type=int, default=1, help="another seed, another cluster")
    command.add_argument(
        "--state.dir", dest="folder", type=Path, metavar="DIR", help="keep the state here (default: a temporary folder)"
    )
    command.set_defaults(run=_demo)


def _jobs(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= _MOST_JOBS):
        raise argparse.ArgumentTypeError(f"must be from 1 to {_MOST_JOBS}, got {text!r}")
    return int(text)


def _add_token(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = _command(commands, "create", "make a token, which is printed once", "", _NOT_WRITTEN)
    command.add_argument("--name", required=True, help="what the token is for")
    command.add_argument(
        "--scope", dest="scopes", action="append", default=[], metavar="SCOPE", help=f"{KNOWN}; may be repeated"
    )
    command.add_argument("--user", help="the user whose data the token lets read (scope read:own)")
    command.add_argument(
        "--expires",
        type=_lifetime,
        default="90d",
        metavar="DURATION",
        help="such as 90d, or never (default: %(default)s)",
    )
    _add_token_file(command, _create_token)
    command = _command(commands, "list", "show the tokens, without what they are made of", "")
    command.add_argument("--format", choices=("table", "json"), default="table")
    _add_token_file(command, _list_tokens)
    command = _command(commands, "revoke", "make a token invalid", "")
    command.add_argument("id", metavar="ID", help="as `list` shows it")
    _add_token_file(command, _revoke_token)


def _add_token_file(command: argparse.ArgumentParser, run: Callable[[argparse.Namespace], int]) -> None:
    _add_file(command)
    command.add_argument(
        "--tokens.file", dest="tokens", type=Path, metavar="FILE", help="wins over the configuration's auth.tokens.file"
    )
    command.set_defaults(run=run)


def _lifetime(text: str) -> float | None:
    from aggregator.api.tokens.file import NEVER
    from aggregator.document.types import parse_duration

    try:
        return None if text == NEVER else parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _add_file(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--config.file", dest="file", default=_DEFAULT_FILE, metavar="FILE", help="configuration (default: %(default)s)"
    )


def _add_listen(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--web.listen-address",
        dest="addresses",
        type=_address,
        action="append",
        metavar="ADDRESS",
        help="host:port to listen on; may be repeated; wins over server.listen_address",
    )


def _address(text: str) -> "ListenAddress":
    from aggregator.document.types import ListenAddress

    try:
        return ListenAddress.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _add_log(command: argparse.ArgumentParser) -> None:
    command.add_argument("--log.level", dest="level", choices=("debug", "info", "warn", "error"))
    command.add_argument("--log.format", dest="format", choices=("logfmt", "json"))


def _serve(flags: argparse.Namespace) -> int:
    limit_footprint()
    import asyncio

    from aggregator.app.serve import serve
    from aggregator.app.web import Web
    from aggregator.config import load
    from aggregator.logs import set_up_logging

    def log(config: "Config") -> None:
        set_up_logging(flags.level or config.log.level, flags.format or config.log.format)

    config = load(flags.file)
    log(config)
    web = Web(flags.web_file) if flags.web_file else None
    asyncio.run(serve(flags.file, config, flags.addresses or [config.server.listen_address], web, log))
    return OK


def _check(flags: argparse.Namespace) -> int:
    from aggregator.app.check_report import print_mistakes

    try:
        report = _check_file(flags)
    except MISTAKES as error:
        if not flags.json:
            raise
        print_mistakes(flags.file, error)
        return MISTAKE
    (report.print_json if flags.json else report.print_text)()
    return FAILED if report.failures else OK


def _check_file(flags: argparse.Namespace) -> "Report":
    from aggregator.app.check import check_start, exporter_warnings, token_warnings
    from aggregator.app.check_report import Report
    from aggregator.config import load, load_web

    config = load(flags.file)
    addresses = flags.addresses or [config.server.listen_address]
    check_start(config, addresses, load_web(flags.web_file) if flags.web_file else None)
    outcomes = None
    if flags.connect:
        import asyncio

        from aggregator.app.connect import try_all

        outcomes = asyncio.run(try_all(config, addresses))
    warnings = (*config.warnings, *exporter_warnings(config), *token_warnings(config))
    return Report(flags.file, warnings, outcomes, len(config.waste_rules))


def _check_web(flags: argparse.Namespace) -> int:
    from aggregator.app.check import check_web
    from aggregator.config import load_web

    check_web(load_web(flags.web_config))
    print(f"{flags.web_config}: no mistakes")
    return OK


def _rules(flags: argparse.Namespace) -> int:
    from aggregator.app.rule_files import write_rules

    for line in write_rules(flags.output, flags.url):
        print(line)
    return OK


def _parts(flags: argparse.Namespace) -> int:
    from aggregator.app.extensions import parts_of_others
    from aggregator.app.families_page import parts_page
    from aggregator.config import installed_parts

    # Whoever does not fit is named in place of all.
    parts_of_others()
    print(parts_page(tuple(installed_parts().values())), end="")
    return OK


def _completion(parser: argparse.ArgumentParser, flags: argparse.Namespace) -> int:
    from aggregator.app.completion import completion

    print(completion(parser, flags.shell), end="")
    return OK


def _tokens_file(flags: argparse.Namespace) -> Path:
    given: Path | None = flags.tokens
    if given is not None:
        return given
    from aggregator.app.tokens import TokenCommandError
    from aggregator.config import load

    auth = load(flags.file).auth
    if auth is None or auth.tokens is None:
        raise TokenCommandError(f"{flags.file}: auth.tokens.file: not configured; add it, or give --tokens.file")
    return auth.tokens.file


def _create_token(flags: argparse.Namespace) -> int:
    from aggregator.app.tokens import create

    written = create(
        _tokens_file(flags),
        name=flags.name,
        user=flags.user,
        scopes=flags.scopes,
        lifetime=flags.expires,
        now=time.time(),
    )
    return OK if written else FAILED


def _list_tokens(flags: argparse.Namespace) -> int:
    from aggregator.app.tokens import show

    show(_tokens_file(flags), as_json=flags.format == "json", now=time.time())
    return OK


def _revoke_token(flags: argparse.Namespace) -> int:
    from aggregator.app.tokens import revoke

    revoke(_tokens_file(flags), flags.id, time.time())
    return OK


def _demo(flags: argparse.Namespace) -> int:
    limit_footprint()
    import asyncio
    from contextlib import ExitStack
    from tempfile import TemporaryDirectory

    from aggregator.app.demo import demo
    from aggregator.logs import set_up_logging

    set_up_logging(flags.level or "warn", flags.format or "logfmt")
    with ExitStack() as stack:
        folder = flags.folder or Path(stack.enter_context(TemporaryDirectory(prefix="hpc-aggregator-demo-")))
        asyncio.run(demo(flags.addresses or [_address(_DEMO_ADDRESS)], flags.seed, flags.jobs, folder))
    return OK
