"""`serve`: run what a configuration file says, and read it again on SIGHUP or POST /-/reload."""

import asyncio
import logging
import signal
import time

import aggregator
from aggregator import executors
from aggregator.api import ApiSettings
from aggregator.api.access import AREAS, HEALTH
from aggregator.api.identity import TrustedProxy
from aggregator.api.tokens import TokenStore
from aggregator.api.visibility import Rules
from aggregator.app.check import open_once
from aggregator.app.ending import end_in_time
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


def open_areas(address: ListenAddress, auth: Auth | None, web_config: WebConfig | None) -> frozenset[str]:
    """Tell which areas need no identity: all on loopback and to those with a certificate, else those of `auth`.

    A web configuration with passwords makes everybody show one, or a token.

    Raises StartError without `auth` on an address that others can reach.
    """
    if web_config and web_config.basic_auth_users:
        # To those with a password everything is open, and to those with a token what the token says.
        return frozenset({HEALTH})
    if address.is_loopback or (web_config and _asks_for_certificates(web_config)):
        return AREAS
    if auth is None:
        raise StartError(
            f"server.listen_address: {address} can be reached from other machines and no auth is configured: job "
            "names, users and quotas would be open to everyone. Listen on 127.0.0.1, let only known clients in by "
            "--web.config.file, or configure auth (auth: {anonymous: [health, metrics]} opens these two only)"
        )
    return frozenset(auth.anonymous) & AREAS


def _asks_for_certificates(web_config: WebConfig) -> bool:
    """Tell whether every client has to show a certificate."""
    tls = web_config.tls_server_config
    return tls is not None and tls.client_auth_type == "RequireAndVerifyClientCert"


def rules_of(auth: Auth) -> Rules:
    """Read who is staff, and what members of an account see of each other."""
    return Rules(
        staff_users=frozenset(auth.staff.users),
        staff_accounts=frozenset(auth.staff.accounts),
        members_see_members=auth.members_see_members,
    )


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
        )
        self._listen = listen
        self._web_config = web_config
        self._config = config
        self._configure_auth()

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

    def _configure_auth(self) -> None:
        """Bring the ways to be known up to date; tokens of the same file stay known, should it be broken now."""
        auth, settings = self._config.auth or Auth(), self.settings
        file = auth.tokens.file if auth.tokens else None
        if file != (settings.tokens.file if settings.tokens else None):
            settings.tokens = TokenStore(file) if file else None
        proxy = auth.trusted_proxy
        settings.proxy = TrustedProxy(proxy.networks, proxy.header) if proxy else None
        settings.rules = rules_of(auth)

    async def start(self) -> None:
        """Start to refresh, and say now if no token will be valid."""
        if self.settings.tokens:
            await self.settings.tokens.refresh()
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
            self._configure_auth()
            await self.start()
            metrics.reload_succeeded, metrics.reload_time = True, time.time()
            _log.info("configuration reloaded: file=%s", self._file)
            return None


async def serve(file: str, config: Config, address: ListenAddress, web_config: WebConfig | None = None) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises StartError.
    """
    for warning in config.warnings:
        _log.warning("configuration: %s", warning)
    # All now: when memory is short, a thread that is started in the middle may hang the process.
    executors.start_threads()
    configured = ConfiguredService(file, config, address, web_config)
    async with listen(configured.service, configured.settings, address, web_config) as ended:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, configured.reload_soon)
        end_in_time()
        await configured.open_state()
        await configured.start()
        async with watch(configured.service):
            await ended.wait()
