"""`serve`: run what a configuration file says, and read it again on SIGHUP or POST /-/reload."""

import asyncio
import logging
import signal
import time
from collections.abc import Callable

import aggregator
from aggregator.api import ApiSettings
from aggregator.api.access import AREAS, HEALTH
from aggregator.api.identity import TrustedProxy
from aggregator.api.tokens import TokenStore
from aggregator.api.visibility import Rules
from aggregator.app.http import StartError, listen
from aggregator.app.parts import parts_of
from aggregator.app.schedule import Timing
from aggregator.app.service import Service
from aggregator.app.stored import names_of
from aggregator.config import Auth, Config, ConfigError, Energy, ListenAddress, WebConfig, load, needs_restart
from aggregator.join.efficiency import FairShare
from aggregator.join.waste import Judge
from aggregator.model.energy import Prices
from aggregator.refresh.summaries import Retention
from aggregator.state import StateError, StateStore

_log = logging.getLogger(__name__)
# A storm of signals reads the file once in this time.
RELOAD_SECONDS = 1.0


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

    def __init__(
        self,
        file: str,
        config: Config,
        listen: ListenAddress,
        web_config: WebConfig | None,
        log: Callable[[Config], None] = lambda _: None,
    ) -> None:
        self.service = Service(StateStore(config.state))
        self._file = file
        self._reloading = asyncio.Lock()
        self._reloaded = -RELOAD_SECONDS
        self._next_reload: asyncio.Task[str | None] | None = None
        self._reloads: set[asyncio.Task[str | None]] = set()
        self.settings = ApiSettings(
            external_url="",
            stale_after=config.refresh.stale_after,
            version=aggregator.__version__,
            open_areas=frozenset(),
            reload=self.reload,
        )
        self._listen = listen
        self._web_config = web_config
        self._log = log
        # What is read at the start only is in force until the end.
        self._started = self._config = config
        self._put_in_force(config, open_areas(listen, config.auth, web_config))

    def _put_in_force(self, config: Config, areas: frozenset[str]) -> None:
        """Take up what is not of single parts, and tell what a restart would take up."""
        before, self._config, settings = self._config, config, self.settings
        settings.external_url = config.server.external_url or ""
        settings.stale_after = config.refresh.stale_after
        settings.open_areas = areas
        settings.software = config.software
        settings.stored_names = names_of(config)
        self._configure_auth()
        if config.log != before.log:
            self._log(config)
        settings.needs_restart = self.service.metrics.restart_needed = self._pending(config)

    def _pending(self, config: Config) -> tuple[str, ...]:
        """Name the keys that a restart would take up; a flag wins over the address before and after it."""
        by_flag = self._listen != self._started.server.listen_address
        keys = needs_restart(self._started, config)
        return tuple(key for key in keys if not (by_flag and key == "server.listen_address"))

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
        """Start to refresh, and say now if no token will be valid.

        Raises ConfigError for certificates that cannot be used.
        """
        await self._check_tokens()
        await self._run(self._config)

    async def _check_tokens(self) -> None:
        if self.settings.tokens:
            await self.settings.tokens.refresh()

    async def _run(self, config: Config) -> None:
        timing = timing_of(config)
        # It reads what the configuration names: certificates and secrets.
        await self.service.run(await asyncio.to_thread(parts_of, config, timing), timing.retention)

    def reload_soon(self) -> None:
        """Reload from a signal handler, which cannot wait."""
        self._reload_next().add_done_callback(_look_at_outcome)

    async def reload(self) -> str | None:
        """Read the file again and run it; a wrong one changes nothing. Give the mistakes, None for success.

        Those who ask while a reload runs share the one that comes after it. It ends even when nobody waits any more.
        """
        return await asyncio.shield(self._reload_next())

    async def stop(self) -> None:
        """Begin no reload any more."""
        for task in self._reloads:
            task.cancel()
        await asyncio.gather(*self._reloads, return_exceptions=True)

    def _reload_next(self) -> asyncio.Task[str | None]:
        if self._next_reload is None:
            self._next_reload = task = asyncio.create_task(self._reload_in_turn(), name="reload")
            self._reloads.add(task)
            task.add_done_callback(self._reloads.discard)
        return self._next_reload

    async def _reload_in_turn(self) -> str | None:
        async with self._reloading:
            loop = asyncio.get_running_loop()
            await asyncio.sleep(self._reloaded + RELOAD_SECONDS - loop.time())
            # Who asks from here on may have changed the file after it was read.
            self._next_reload, self._reloaded = None, loop.time()
            return await self._reload()

    async def _reload(self) -> str | None:
        metrics = self.service.metrics
        try:
            config = await asyncio.to_thread(load, self._file)
            areas = open_areas(self._listen, config.auth, self._web_config)
            await self._run(config)
        except (ConfigError, StartError) as error:
            metrics.reload_succeeded = False
            _log.error("reload failed, the old configuration stays: error=%s", error)
            return str(error)
        self._put_in_force(config, areas)
        await self._check_tokens()
        metrics.reload_succeeded, metrics.reload_time = True, time.time()
        _log.info("configuration reloaded: file=%s", self._file)
        for key in self.settings.needs_restart:
            _log.warning("needs a restart: key=%s", key)
        return None


def _look_at_outcome(task: "asyncio.Task[str | None]") -> None:
    """Log a bug: nobody else waits for a reload by a signal."""
    if not task.cancelled() and (error := task.exception()):
        _log.error("reload failed: unexpected error", exc_info=error)


async def serve(
    file: str,
    config: Config,
    address: ListenAddress,
    web_config: WebConfig | None = None,
    log: Callable[[Config], None] = lambda _: None,
) -> None:
    """Serve until SIGTERM or SIGINT; `log` sets up the log as a configuration says.

    Raises StartError.
    """
    for warning in config.warnings:
        _log.warning("configuration: %s", warning)
    configured = ConfiguredService(file, config, address, web_config, log)
    async with listen(configured.service, configured.settings, address, web_config) as ended:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, configured.reload_soon)
        await configured.open_state()
        await configured.start()
        try:
            await ended.wait()
        finally:
            await configured.stop()
