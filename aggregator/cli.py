"""The command `hpc-aggregator`: flags and exit codes."""

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aggregator
from aggregator.api.tokens.file import NEVER
from aggregator.api.tokens.scope import KNOWN
from aggregator.app.check import connect, open_once, token_warnings
from aggregator.app.demo import demo
from aggregator.app.http import StartError
from aggregator.app.serve import serve
from aggregator.app.tokens import TokenCommandError, create, revoke, show
from aggregator.app.web import Web
from aggregator.config import Config, ConfigError, ListenAddress, load, parse_duration
from aggregator.logs import set_up_logging

OK, FAILED, MISTAKE = 0, 1, 2
_DEFAULT_FILE = "hpc-aggregator.yml"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 success, 1 a source that does not answer, 2 a mistake in configuration or flags."""
    flags = _parser().parse_args(arguments)
    try:
        code: int = flags.run(flags)
    except (ConfigError, StartError, TokenCommandError) as error:
        print(error, file=sys.stderr)
        return MISTAKE
    return code


class _WholeFlags(argparse.ArgumentParser):
    """A parser, also of subcommands, that knows flags by their whole names: --web.config would be another one later."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "allow_abbrev": False})


def _parser() -> argparse.ArgumentParser:
    parser = _WholeFlags(
        prog="hpc-aggregator",
        description="Join Slurm accounting, Robinhood and Prometheus, and give the result back as gauges and an API.",
    )
    parser.add_argument("--version", action="version", version=f"hpc-aggregator {aggregator.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("serve", help="serve the configured site")
    _add_file(command)
    _add_listen(command)
    command.add_argument(
        "--web.config.file", dest="web_file", metavar="FILE", help="TLS and basic authentication, as exporters have it"
    )
    _add_log(command)
    command.set_defaults(run=_serve)
    command = commands.add_parser("check", help="check the configuration and say every mistake in it")
    _add_file(command)
    command.add_argument("--connect", action="store_true", help="also fetch every source once")
    command.set_defaults(run=_check)
    command = commands.add_parser("demo", help="serve a synthetic cluster; needs no server and no configuration")
    _add_listen(command, default="127.0.0.1:9850")
    _add_log(command)
    command.add_argument("--demo.seed", dest="seed", type=int, default=1, help="another seed, another cluster")
    command.add_argument(
        "--state.dir", dest="folder", type=Path, metavar="DIR", help="keep the state here (default: a temporary folder)"
    )
    command.set_defaults(run=_demo)
    _add_token(commands.add_parser("token", help="create, list and revoke bearer tokens"))
    return parser


def _add_token(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("create", help="make a token, which is printed once")
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
    command = commands.add_parser("list", help="show the tokens, without what they are made of")
    command.add_argument("--format", choices=("table", "json"), default="table")
    _add_token_file(command, _list_tokens)
    command = commands.add_parser("revoke", help="make a token invalid")
    command.add_argument("id", metavar="ID", help="as `list` shows it")
    _add_token_file(command, _revoke_token)


def _add_token_file(command: argparse.ArgumentParser, run: Callable[[argparse.Namespace], int]) -> None:
    _add_file(command)
    command.add_argument(
        "--tokens.file", dest="tokens", type=Path, metavar="FILE", help="wins over the configuration's auth.tokens.file"
    )
    command.set_defaults(run=run)


def _lifetime(text: str) -> float | None:
    try:
        return None if text == NEVER else parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _add_file(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--config.file", dest="file", default=_DEFAULT_FILE, metavar="FILE", help="configuration (default: %(default)s)"
    )


def _add_listen(command: argparse.ArgumentParser, default: str | None = None) -> None:
    command.add_argument(
        "--web.listen-address",
        dest="address",
        type=_address,
        default=default,
        metavar="ADDRESS",
        help="host:port to listen on; wins over server.listen_address",
    )


def _address(text: str) -> ListenAddress:
    try:
        return ListenAddress.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _add_log(command: argparse.ArgumentParser) -> None:
    command.add_argument("--log.level", dest="level", choices=("debug", "info", "warn", "error"))
    command.add_argument("--log.format", dest="format", choices=("logfmt", "json"))


def _serve(flags: argparse.Namespace) -> int:
    def log(config: Config) -> None:
        set_up_logging(flags.level or config.log.level, flags.format or config.log.format)

    config = load(flags.file)
    log(config)
    web = Web(flags.web_file) if flags.web_file else None
    asyncio.run(serve(flags.file, config, flags.address or config.server.listen_address, web, log))
    return OK


def _check(flags: argparse.Namespace) -> int:
    config = load(flags.file)
    asyncio.run(open_once(config))
    for warning in (*config.warnings, *token_warnings(config)):
        print(f"warning: {warning}", file=sys.stderr)
    print(f"{flags.file}: no mistakes, {len(config.waste_rules)} rules of waste are active")
    return _connect(config) if flags.connect else OK


def _connect(config: Config) -> int:
    outcomes = asyncio.run(connect(config))
    for what, error in outcomes:
        print(f"down {error}" if error else f"up   {what}")
    return FAILED if any(error for _, error in outcomes) else OK


def _tokens_file(flags: argparse.Namespace) -> Path:
    given: Path | None = flags.tokens
    if given is not None:
        return given
    auth = load(flags.file).auth
    if auth is None or auth.tokens is None:
        raise TokenCommandError(f"{flags.file}: auth.tokens.file: not configured; add it, or give --tokens.file")
    return auth.tokens.file


def _create_token(flags: argparse.Namespace) -> int:
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
    show(_tokens_file(flags), as_json=flags.format == "json", now=time.time())
    return OK


def _revoke_token(flags: argparse.Namespace) -> int:
    revoke(_tokens_file(flags), flags.id, time.time())
    return OK


def _demo(flags: argparse.Namespace) -> int:
    set_up_logging(flags.level or "warn", flags.format or "logfmt")
    with ExitStack() as stack:
        folder = flags.folder or Path(stack.enter_context(TemporaryDirectory(prefix="hpc-aggregator-demo-")))
        asyncio.run(demo(flags.address, flags.seed, folder))
    return OK
