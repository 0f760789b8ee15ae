"""Composition: Slurm's spool → our spool → the service, until a signal or until all is sent."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from aggregator.document.types import ListenAddress
from jobscript_ingest.collect import Collector
from jobscript_ingest.location import StateSaveLocation
from jobscript_ingest.metrics import AgentMetrics
from jobscript_ingest.rules import load_rules
from jobscript_ingest.send import Sender
from jobscript_ingest.service import SendError, Service, read_token
from jobscript_ingest.settings import FlagError, Settings, Target
from jobscript_ingest.spool import Spool, SpoolError
from jobscript_ingest.watch import Watcher
from jobscript_ingest.web import listen

_log = logging.getLogger(__name__)


class NotDelivered(Exception):
    """`--once` could not deliver everything; the text says why."""


@dataclass(frozen=True, slots=True)
class Agent:
    """The parts, opened."""

    location: StateSaveLocation
    spool: Spool
    metrics: AgentMetrics
    collector: Collector
    sender: Sender


async def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT.

    Raises FlagError and ConfigError when it cannot start.
    """
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with _opened(settings) as agent, listen(agent.metrics.registry, settings.listen_address):
        _log.info("started: location=%s address=%s", agent.location.path, settings.listen_address)
        watcher = Watcher(agent.location, agent.collector, settings.reading.scan_interval)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(part) for part in (watcher.run(), agent.sender.run())]
            await ended.wait()
            for task in tasks:
                task.cancel()
    _log.info("ended")


async def once(settings: Settings, show: Callable[[str], None]) -> None:
    """Scan and send until everything is delivered; `show` is told how far it is.

    Raises FlagError and ConfigError when it cannot start, NotDelivered for the rest.
    """
    async with _opened(settings) as agent:
        show(f"scanning {agent.location.path}")
        try:
            # A full spool has room again when a batch is sent.
            while not await asyncio.to_thread(agent.collector.scan):
                if not await agent.sender.send_batch():
                    raise NotDelivered(agent.collector.problem)
            while await agent.sender.send_batch():
                show(f"{(await asyncio.to_thread(agent.spool.status)).unsent} scripts to send")
            status = await asyncio.to_thread(agent.spool.status)
        except (SendError, SpoolError) as error:
            raise NotDelivered(f"{error}; the scripts stay in the spool") from error
    if status.refused:
        raise NotDelivered(f"the service refused {status.refused} scripts, which stay in the spool; the log says why")


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Agent]:
    location = open_location(settings.reading.location)
    rules = load_rules(settings.reading.rules_file)
    _check_target(settings.target, settings.listen_address)
    service = Service(settings.target)
    loop = asyncio.get_running_loop()
    with Spool(settings.spool, settings.target.cluster) as spool:
        metrics = AgentMetrics([rule.name for rule in rules], spool.status)
        async with service:
            sender = Sender(spool, service, metrics, settings.target.batch, settings.target.back_off)
            collector = Collector(
                location, rules, spool, metrics,
                max_bytes=settings.reading.max_bytes,
                on_spooled=lambda: _from_thread(loop, sender.wake),
            )  # fmt: skip
            yield Agent(location, spool, metrics, collector, sender)


def _from_thread(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    loop.call_soon_threadsafe(call)


def open_location(path: Path) -> StateSaveLocation:
    """Check that the location can be read now.

    Raises FlagError that says who could.
    """
    location = StateSaveLocation(path)
    try:
        for folder in location.folders():
            next(location.versions(folder), None)
    except PermissionError as error:
        raise FlagError(
            f"--slurm.state-save-location: {error.filename}: permission denied: run as SlurmUser "
            "(`scontrol show config | grep SlurmUser`; User= in the systemd unit)"
        ) from error
    except OSError as error:
        raise FlagError(f"--slurm.state-save-location: cannot read {path}: {error.strerror}") from error
    return location


def _check_target(target: Target, address: ListenAddress) -> None:
    """Refuse a token that cannot be used, or that would be read on its way, and warn of one that others can read."""
    try:
        read_token(target.token_file)
    except SendError as error:
        raise FlagError(str(error)) from error
    if target.token_file.is_world_readable:
        _log.warning("--aggregator.token-file: every user of this host can read %s: chmod 0400", target.token_file)
    url = urlsplit(target.url)
    if url.scheme == "http" and not ListenAddress(url.hostname or "", 0).is_loopback:
        if not target.allow_http:
            raise FlagError(
                f"--aggregator.url: {target.url} would take the token and the scripts to another host unencrypted: "
                "use https://, or --aggregator.allow-http on a network that you trust"
            )
        _log.warning("--aggregator.url: token and scripts go to %s in clear text: use https", url.hostname)
    if not address.is_loopback:
        _log.warning("--web.listen-address: other hosts can read the agent's metrics: address=%s", address)
