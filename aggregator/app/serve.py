"""`serve`: run what a configuration file says, and read it again on SIGHUP or POST /-/reload."""

import asyncio
import logging
import signal
import time
from collections.abc import Sequence

import aggregator
from aggregator import executors
from aggregator.api import ApiSettings
from aggregator.api.audit import audit_signal
from aggregator.api.origin import own_names
from aggregator.app.auth import configure_auth, open_areas, openness
from aggregator.app.check import open_once
from aggregator.app.ending import end_in_time
from aggregator.app.first_look import first_look
from aggregator.app.http import StartError, listen
from aggregator.app.schedule import Timing
from aggregator.app.service import Service
from aggregator.app.site import open_site
from aggregator.app.stored import names_of
from aggregator.app.watch import watch
from aggregator.config import Auth, Config, ConfigError, Energy, ListenAddress, WebConfig, load
from aggregator.join.efficiency import FairShare
from aggregator.join.waste import Judge
from aggregator.model.energy import Prices
from aggregator.refresh.summaries import Retention
from aggregator.state import StateError, StateStore

_log = logging.getLogger(__name__)


def timing_of(config: Config) -> Timing:
    """Read the refresh's times from the configuration."""
    return Timing(
        interval=config.refresh.interval,
        stale_after=config.refresh.stale_after,
        stalled_after=config.refresh.stalled_after,
        retention=Retention(summaries=config.state.summary_retention, scripts=config.state.script_retention),
        fair_share=FairShare(
            config.waste.normal_memory_per_cpu, config.waste.normal_memory_per_gpu, config.waste.normal_cpus_per_gpu
        ),
        judge=Judge(config.waste_rules, config.waste_exemptions),
        prices=_prices(config.energy),
        backfill=config.energy.backfill,
        fiscal_year=config.usage.fiscal_year_start,
        job_name_bytes=config.limits.job_name_bytes,
    )


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

    def __init__(self, file: str, config: Config, listen: ListenAddress, web_config: WebConfig | None) -> None:
        self.service = Service(StateStore(config.state))
        self._file = file
        self._lock = asyncio.Lock()
        self.settings = ApiSettings(
            external_url=config.server.external_url or "",
            stale_after=config.refresh.stale_after,
            version=aggregator.__version__,
            open_areas=open_areas(listen, config.auth, web_config),
            reload=self.reload,
            software=config.software,
            stored_names=names_of(config),
            stalled=self.service.progress.stalled,
            is_local=listen.is_loopback,
        )
        self._listen = listen
        self._web_config = web_config
        self._config = config
        configure_auth(self.settings, config.auth or Auth())
        self._configure_doors()

    async def open_state(self) -> None:
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
        self.settings.hosts = own_names(self.settings.external_url, self._listen.host, server.allowed_hosts)

    async def start(self) -> None:
        """Start to refresh, and say now if no token will be valid."""
        if self.settings.tokens:
            await self.settings.tokens.refresh()
        if self.settings.access_tokens:
            self.settings.access_tokens.keys.read_soon()
        await self.service.start(lambda: open_site(self._config), timing_of(self._config))

    def reload_soon(self) -> None:
        """Reload from a signal handler, which cannot wait."""
        self._reloading = asyncio.ensure_future(self.reload())

    async def reload(self) -> str | None:
        """Read the file again and run it; a wrong one changes nothing. Give the mistakes, None for success."""
        async with self._lock:
            metrics = self.service.metrics
            try:
                config = await executors.run(executors.FILES, load, self._file)
                areas = open_areas(self._listen, config.auth, self._web_config)
                # Before the old site is closed: what cannot be opened changes nothing.
                await open_once(config)
            except (ConfigError, StartError) as error:
                metrics.reload_succeeded = False
                _log.error("reload failed, the old configuration stays: error=%s", error)
                return str(error)
            self._config = config
            self.settings.stale_after = config.refresh.stale_after
            self.settings.open_areas = areas
            self.settings.software = config.software
            self.settings.stored_names = names_of(config)
            configure_auth(self.settings, config.auth or Auth())
            self._configure_doors()
            await self.start()
            metrics.reload_succeeded, metrics.reload_time = True, time.time()
            _log.info("configuration reloaded: file=%s", self._file)
            return None


def _hang_up(configured: ConfiguredService) -> None:
    audit_signal("SIGHUP", "configuration")
    configured.reload_soon()


async def serve(
    file: str, config: Config, addresses: Sequence[ListenAddress], web_config: WebConfig | None = None
) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises StartError.
    """
    for warning in config.warnings:
        _log.warning("configuration: %s", warning)
    # All now: when memory is short, a thread that is started in the middle may hang the process.
    executors.start_threads()
    # What is open is the same on all of them: as on the one that others can reach.
    exposed = next((address for address in addresses if not address.is_loopback), addresses[0])
    configured = ConfiguredService(file, config, exposed, web_config)
    if said := openness(configured.settings.open_areas, exposed):
        _log.warning(said)
    async with listen(configured.service, configured.settings, addresses, web_config) as ended:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _hang_up, configured)
        end_in_time()
        await configured.open_state()
        await configured.start()
        async with watch(configured.service), first_look(config):
            await ended.wait()
