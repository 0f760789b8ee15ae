"""The command `hpc-jobscript-ingest`: flags and exit codes."""

import argparse
import asyncio
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import jobscript_ingest
from aggregator.build import version_text
from aggregator.document.mistake import ConfigError
from aggregator.document.secrets import SecretFile
from aggregator.document.types import ListenAddress, parse_duration, parse_size, split_url
from aggregator.logs import set_up_logging
from aggregator.model.clustername import is_cluster_name
from jobscript_ingest.agent import NotDelivered, once, open_location, run
from jobscript_ingest.dry_run import describe
from jobscript_ingest.rules import load_rules
from jobscript_ingest.settings import BatchLimits, FlagError, Reading, Settings, SpoolSettings, Target

OK, FAILED, MISTAKE = 0, 1, 2
_SPOOL = "/var/lib/hpc-jobscript-ingest/spool.db"
_EXITS = """exit codes:
  0  success
  1  with --once: not everything was delivered
  2  a mistake in the flags, or in a file that they name, which is named on stderr"""
_NEEDED_TO_SEND = {"--cluster": "cluster", "--aggregator.url": "url", "--aggregator.token-file": "token_file"}

T = TypeVar("T")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 success, 1 not everything delivered by --once, 2 a mistake in flags or in what they name."""
    flags = _parser().parse_args(arguments)
    set_up_logging(flags.log_level, flags.log_format)
    # It tells each change that it sees.
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    try:
        return _run(flags)
    except (ConfigError, FlagError) as error:
        print(error, file=sys.stderr)
        return MISTAKE
    except NotDelivered as error:
        print(error, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return FAILED


def _run(flags: argparse.Namespace) -> int:
    reading = Reading(flags.location, flags.rules_file, flags.max_bytes, flags.scan_interval)
    if flags.dry_run:
        for line in describe(open_location(reading.location), load_rules(reading.rules_file), reading.max_bytes):
            print(line)
        return OK
    settings = _settings(flags, reading)
    if flags.once:
        with _progress() as show:
            asyncio.run(once(settings, show))
    else:
        asyncio.run(run(settings))
    return OK


def _settings(flags: argparse.Namespace, reading: Reading) -> Settings:
    missing = [flag for flag, name in _NEEDED_TO_SEND.items() if getattr(flags, name) is None]
    if missing:
        raise FlagError("\n".join(f"{flag}: required (only --dry-run does without)" for flag in missing))
    if flags.spool_bytes < reading.max_bytes:
        raise FlagError("--spool.max-bytes: must not be smaller than --max-bytes, or a script could never be sent")
    batch = BatchLimits(flags.batch_scripts, flags.batch_bytes)
    return Settings(
        reading,
        Target(
            flags.cluster, flags.url, SecretFile(flags.token_file), flags.ca_file, batch, allow_http=flags.allow_http
        ),
        SpoolSettings(flags.spool, flags.spool_bytes, flags.refused_retention),
        flags.address,
    )


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Give what shows progress: one line that is written over, on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda text: None
        return
    try:
        yield lambda text: print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
    finally:
        print(file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hpc-jobscript-ingest",
        description="Collect job scripts beside slurmctld, hide their secrets and send them to hpc-aggregator.",
        epilog=_EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=version_text(parser.prog, jobscript_ingest.__version__))
    _add_reading(parser)
    _add_target(parser)
    _add_spool(parser)
    parser.add_argument(
        "--web.listen-address", dest="address", type=_checked(ListenAddress.parse), default="127.0.0.1:9851",
        metavar="ADDRESS", help="host:port of the agent's own /metrics (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--log.level", dest="log_level", choices=("debug", "info", "warn", "error"), default="info",
        help="the least level that is logged (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--log.format", dest="log_format", choices=("logfmt", "json"), default="logfmt",
        help="the form of the log's lines (default: %(default)s)",
    )  # fmt: skip
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--once", action="store_true", help="scan, send, and end when everything is delivered")
    modes.add_argument("--dry-run", action="store_true", help="say what would be sent; nothing leaves this host")
    return parser


def _add_reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--slurm.state-save-location", dest="location", type=Path, required=True, metavar="DIR",
        help="StateSaveLocation of slurm.conf (required)",
    )  # fmt: skip
    parser.add_argument(
        "--scan.interval", dest="scan_interval", type=_checked(_interval), default="30s", metavar="DURATION",
        help="time between full scans, which find what inotify did not tell; keep it below MinJobAge"
        " (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--max-bytes", dest="max_bytes", type=_checked(_size), default="4MiB", metavar="SIZE",
        help="a script that is longer is cut here (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--redaction.rules-file", dest="rules_file", type=Path, metavar="FILE",
        help="rules that are added to the shipped ones, or replace them",
    )  # fmt: skip


def _add_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cluster", type=_checked(_cluster), metavar="NAME", help="ClusterName, as the service knows it (required)"
    )
    parser.add_argument(
        "--aggregator.url", dest="url", type=_checked(_url), metavar="URL",
        help="the service's address, with its path prefix (required)",
    )  # fmt: skip
    parser.add_argument(
        "--aggregator.token-file", dest="token_file", type=Path, metavar="FILE",
        help="a token with the scope ingest:CLUSTER; read anew at each request (required)",
    )  # fmt: skip
    parser.add_argument(
        "--aggregator.ca-file", dest="ca_file", type=Path, metavar="FILE", help="who signed the service's certificate"
    )
    parser.add_argument(
        "--aggregator.allow-http", dest="allow_http", action="store_true",
        help="send to another host without TLS, too: everybody on the way can read the token and the scripts",
    )  # fmt: skip
    parser.add_argument(
        "--batch.max-scripts", dest="batch_scripts", type=_checked(_count), default="100", metavar="N",
        help="scripts in one request (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--batch.max-bytes", dest="batch_bytes", type=_checked(_size), default="8MiB", metavar="SIZE",
        help="content in one request; a longer script goes alone (default: %(default)s)",
    )  # fmt: skip


def _add_spool(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--spool.path", dest="spool", type=Path, default=_SPOOL, metavar="FILE",
        help="where scripts wait to be sent (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--spool.max-bytes", dest="spool_bytes", type=_checked(_size), default="1GiB", metavar="SIZE",
        help="reading stops while the spool holds this much (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--spool.refused-retention", dest="refused_retention", type=_checked(_interval), default="7d",
        metavar="DURATION", help="how long scripts are kept that the service refused (default: %(default)s)",
    )  # fmt: skip


def _checked(read: Callable[[str], T]) -> Callable[[str], T]:
    """Let argparse name the flag and say what `read` says."""

    def checked(text: str) -> T:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return checked


def _interval(text: str) -> float:
    seconds = parse_duration(text)
    if seconds <= 0:
        raise ValueError("must be above 0s")
    return seconds


def _size(text: str) -> int:
    size_bytes = parse_size(text)
    if size_bytes <= 0:
        raise ValueError("must be above 0B")
    return size_bytes


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) <= 0:
        raise ValueError(f"not a count above 0: {text!r}")
    return int(text)


def _cluster(text: str) -> str:
    if not is_cluster_name(text):
        raise ValueError(f"not the name of a cluster: {text!r}")
    return text


def _url(text: str) -> str:
    url = split_url(text)
    if url is None or url.scheme not in ("http", "https") or not url.hostname or not text.isprintable() or " " in text:
        raise ValueError("not a URL such as https://aggregator.example.org")
    if "@" in url.netloc or url.query or url.fragment:
        raise ValueError("must be an address only: no credentials, no query")
    return text
