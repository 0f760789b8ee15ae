"""`serve`: run what a configuration file says, and read it again on SIGHUP or POST /-/reload."""

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

import aggregator
from aggregator import executors
from aggregator.api.audit import audit_signal
from aggregator.api.keys import ApiSettings, Origins, Upkeep
from aggregator.api.origin import own_names
from aggregator.app.auth import configure_auth
from aggregator.app.ending import end_in_time, unless_ended
from aggregator.app.errors import StartError
from aggregator.app.extensions import parts_of_others
from aggregator.app.first_look import first_look
from aggregator.app.http import listen
from aggregator.app.layouts import CLUSTERS, clusters_with
from aggregator.app.lists import lists_of
from aggregator.app.openness import open_areas, openness
from aggregator.app.parts import parts_of
from aggregator.app.schedule import Timing
from aggregator.app.service import Service
from aggregator.app.turns import Turns
from aggregator.app.watch import watch
from aggregator.app.web import CHECK_SECONDS, Reading, Web
from aggregator.config import Auth, Config, ConfigError, Energy, ListenAddress, SeriesLimits, load, needs_restart
from aggregator.engine.exposition import Limits
from aggregator.engine.part import Layout
from aggregator.model.energy import Prices
from aggregator.parts.jobs.efficiency import FairShare
from aggregator.parts.waste.rules import compile_rules
from aggregator.refresh.summaries import Retention
from aggregator.state import StateError, StateStore

_log = logging.getLogger(__name__)
# A storm of signals reads the file once in this time.
RELOAD_SECONDS = 1.0


def timing_of(config: Config, clusters: Layout = CLUSTERS) -> Timing:
    """Read the refresh's times from the configuration; what has no bound of series of its own has that of parts."""
    shares = config.waste.normal_memory_per_cpu, config.waste.normal_memory_per_gpu, config.waste.normal_cpus_per_gpu
    fair_share = FairShare(*shares)
    return Timing(
        interval=config.refresh.interval,
        stale_after=config.refresh.stale_after,
        stalled_after=config.refresh.stalled_after,
        retention=Retention(
            summaries=config.state.summary_retention,
            scripts=config.state.script_retention,
            alerts=config.state.alert_retention,
        ),
        fair_share=fair_share,
        rules=compile_rules(config.waste_rules, config.waste_exemptions, fair_share),
        prices=_prices(config.energy),
        backfill=config.energy.backfill,
        fiscal_year=config.usage.fiscal_year_start,
        job_name_bytes=config.limits.job_name_bytes,
        gpu_units={name: each.units for name, each in config.energy.gpu_classes.items()},
        series=_series_limits(config.limits.series, clusters),
    )


def _series_limits(section: SeriesLimits, clusters: Layout) -> Limits:
    return {**{table.collect: section.parts for table in clusters.tables.values()}, **section.model_dump()}


def _prices(energy: Energy) -> Prices:
    tariff = energy.tariff
    return Prices(
        model=energy.model,
        pue=energy.pue,
        grams_per_kwh=energy.co2.static_g_per_kwh,
        zone=energy.co2.zone or "",
        currency=tariff.currency or "",
        per_kwh=tariff.per_kwh,
        cooling_share=tariff.cooling_share,
        cpu_hour=tariff.cpu_hour,
        gpu_hour=tariff.gpu_hour,
    )


class ConfiguredService:
    """A service that runs what a configuration file says, and reads it again on demand."""

    def __init__(
        self,
        file: str,
        config: Config,
        addresses: Sequence[ListenAddress],
        web: Web | None,
        log: Callable[[Config], None] = lambda _: None,
    ) -> None:
        # What is open is the same on all of them: as on the one that others can reach.
        self.exposed = next((address for address in addresses if not address.is_loopback), addresses[0])
        parts = parts_of_others()
        self.service = Service(StateStore(config.state), clusters=clusters_with(parts))
        self.lists = lists_of(self.service.clusters, parts)
        self._file = file
        self._reloads = Turns(self._reload, RELOAD_SECONDS)
        self.settings = ApiSettings(
            external_url="",
            stale_after=config.refresh.stale_after,
            version=aggregator.__version__,
            open_areas=frozenset(),
            upkeep=Upkeep(reload=self.reload, stalled=self.service.progress.stalled),
            origins=Origins(is_local=self.exposed.is_loopback),
        )
        self._addresses = tuple(addresses)
        self._web = web
        self._mistakes = {"reload": "", "web": ""}
        self._log = log
        # What is read at the start only is in force until the end.
        self._started = self._config = config
        self._put_in_force(config, open_areas(self.exposed, config.auth, web.config if web else None))

    def _put_in_force(self, config: Config, areas: frozenset[str]) -> None:
        """Take up what is not of single parts, and tell what a restart would take up."""
        before, self._config, settings = self._config, config, self.settings
        settings.external_url = config.server.external_url or ""
        settings.stale_after = config.refresh.stale_after
        settings.origins.frame_ancestors = config.server.frame_ancestors
        settings.open_areas = areas
        settings.software = config.software
        configure_auth(settings, config.auth or Auth())
        self._configure_doors()
        if config.log != before.log:
            self._log(config)
        settings.upkeep.needs_restart = self.service.metrics.restart_needed = self._pending(config)

    def _pending(self, config: Config) -> tuple[str, ...]:
        """Name the keys that a restart would take up; a flag wins over the address before and after it."""
        by_flag = self._addresses != (self._started.server.listen_address,)
        keys = [*needs_restart(self._started, config), *(self._web.needs_restart if self._web else ())]
        return tuple(key for key in keys if not (by_flag and key == "server.listen_address"))

    async def _open_state(self) -> None:
        """Open the state. A file that cannot be opened stops the start; a server may come later.

        Raises StartError.
        """
        try:
            await self.service.state.open()
        except StateError as error:
            if self._config.state.url.scheme == "sqlite":
                raise StartError(str(error)) from error
            _log.warning("the state is not there yet: error=%s", error)

    def _configure_doors(self) -> None:
        server = self._config.server
        self.settings.bounds = server.bounds
        self.settings.origins.hosts = own_names(
            self.settings.external_url, (address.host for address in self._addresses), server.allowed_hosts
        )

    async def start(self) -> None:
        """Open the state, start to refresh, and say now if no token will be valid.

        Raises StartError for a state that cannot be opened, ConfigError for certificates that cannot be used.
        """
        await self._open_state()
        await self._check_tokens()
        # A signal may come before.
        async with self._reloads.lock:
            await self._run(self._config)

    async def _check_tokens(self) -> None:
        if self.settings.ways.tokens:
            await self.settings.ways.tokens.refresh()
        if self.settings.ways.access_tokens:
            self.settings.ways.access_tokens.keys.read_soon()
        if self.settings.ways.single_sign_on:
            self.settings.ways.single_sign_on.tokens.keys.read_soon()

    async def _run(self, config: Config) -> None:
        timing = timing_of(config, self.service.clusters)
        # It reads what the configuration names: certificates and secrets.
        await self.service.run(await executors.run(executors.FILES, parts_of, config, timing), timing.retention)

    def reload_soon(self) -> None:
        """Reload from a signal handler, which cannot wait."""
        self._reloads.ask().add_done_callback(_look_at_outcome)

    async def reload(self) -> str | None:
        """Read the files again and run them; a wrong one changes nothing. Give the mistakes, None for success.

        Those who ask while a reload runs share the one that comes after it. It ends even when nobody waits any more.
        """
        return await asyncio.shield(self._reloads.ask())

    async def stop(self) -> None:
        """Begin no reload any more."""
        await self._reloads.stop()

    async def _reload(self) -> str | None:
        try:
            config = await executors.run(executors.FILES, load, self._file)
            reading = await self._read_web(self._web) if self._web else None
            areas = open_areas(self.exposed, config.auth, reading.config if reading else None)
            await self._run(config)
        except (ConfigError, StartError) as error:
            self._tell_outcome(reload=str(error))
            _log.error("reload failed, the old configuration stays: error=%s", error)
            return str(error)
        if self._web and reading:
            self._web.take(reading)
        self._put_in_force(config, areas)
        await self._check_tokens()
        self._tell_outcome(reload="", web="")
        self.service.metrics.reload_time = time.time()
        _log.info("configuration reloaded: file=%s", self._file)
        for key in self.settings.upkeep.needs_restart:
            _log.warning("needs a restart: key=%s", key)
        return None

    async def _read_web(self, web: Web) -> Reading:
        """Read the web configuration.

        Raises ConfigError and StartError, of which is known then that they are its.
        """
        try:
            return await executors.run(executors.FILES, web.read)
        except (ConfigError, StartError) as error:
            self._tell_outcome(web=str(error))
            raise

    async def watch_web(self, web: Web) -> None:
        """Take up the web configuration and its certificates whenever they change, until cancelled."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            try:
                async with self._reloads.lock:
                    if await executors.run(executors.FILES, web.has_changed):
                        await self._take_up(web)
            except Exception:
                _log.exception("the web configuration could not be looked at: file=%s", web.file)

    async def _take_up(self, web: Web) -> None:
        """Put the web configuration in force; one that cannot be used leaves the old one."""
        before = self._mistakes["web"]
        try:
            reading = await self._read_web(web)
            areas = open_areas(self.exposed, self._config.auth, reading.config)
        except (ConfigError, StartError) as error:
            web.pass_over()
            if str(error) != before:
                _log.error("the web configuration stays as it was: error=%s", error)
            self._tell_outcome(web=str(error))
            return
        web.take(reading)
        self._put_in_force(self._config, areas)
        self._tell_outcome(web="")
        _log.info("web configuration reloaded: file=%s", web.file)
        if before and self._mistakes["reload"] == before:
            # The reload that failed because of it is made good.
            self.reload_soon()

    def _tell_outcome(self, **mistakes: str) -> None:
        """Remember what is wrong with the files as they are, "" for nothing: a restart would fail."""
        self._mistakes |= mistakes
        self.service.metrics.reload_succeeded = not any(self._mistakes.values())


def _look_at_outcome(task: "asyncio.Task[str | None]") -> None:
    """Log a bug: nobody else waits for a reload by a signal."""
    if not task.cancelled() and (error := task.exception()):
        _log.error("reload failed: unexpected error", exc_info=error)


def _hang_up(configured: ConfiguredService) -> None:
    audit_signal("SIGHUP", "configuration")
    configured.reload_soon()


async def serve(
    file: str,
    config: Config,
    addresses: Sequence[ListenAddress],
    web: Web | None = None,
    log: Callable[[Config], None] = lambda _: None,
) -> None:
    """Serve until SIGTERM or SIGINT; `log` sets up the log as a configuration says.

    Raises StartError.
    """
    for warning in config.warnings:
        _log.warning("configuration: %s", warning)
    # All now: when memory is short, a thread that is started in the middle may hang the process.
    executors.start_threads()
    configured = ConfiguredService(file, config, addresses, web, log)
    if said := openness(configured.settings.open_areas, configured.exposed):
        _log.warning(said)
    async with AsyncExitStack() as stack:
        users, tls = (web.users, web.tls) if web else (None, None)
        listening = listen(configured.service, configured.settings, addresses, users, tls, configured.lists)
        ended = await stack.enter_async_context(listening)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _hang_up, configured)
        end_in_time()
        stack.push_async_callback(configured.stop)
        await unless_ended(ended, configured.start())
        if web:
            looks = asyncio.create_task(configured.watch_web(web), name="web configuration")
            stack.callback(looks.cancel)
        await stack.enter_async_context(watch(configured.service))
        await stack.enter_async_context(first_look(configured.service.presences))
        await ended.wait()
