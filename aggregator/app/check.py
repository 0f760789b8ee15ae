"""`check`: what can be said of a configuration without asking any server."""

from collections.abc import Iterator, Sequence

from aggregator.api.tokens.file import TokenFileError, read_tokens
from aggregator.app.openness import open_areas
from aggregator.app.tls import check_certificates, server_tls
from aggregator.config import Config, ListenAddress, WebConfig, installed_parts


def check_start(config: Config, addresses: Sequence[ListenAddress], web_config: WebConfig | None) -> None:
    """See whether `serve` would start here.

    Raises StartError with what to change: a part of another package that does not fit, a certificate, or an address
    that is open without auth; ConfigError for a certificate of a source.
    """
    if installed_parts():
        # Not imported where there are none: it takes the whole service.
        from aggregator.app.extensions import parts_of_others

        parts_of_others()
    for address in addresses:
        open_areas(address, config.auth, web_config)
    if web_config:
        check_web(web_config)
    check_certificates(config)


def check_web(web_config: WebConfig) -> None:
    """See whether the certificate and its key can be used.

    Raises StartError.
    """
    if web_config.tls_server_config:
        server_tls(web_config.tls_server_config)


def token_warnings(config: Config) -> list[str]:
    """Say what is wrong with the file of tokens, which does not keep the service from starting."""
    if config.auth is None or config.auth.tokens is None:
        return []
    try:
        read_tokens(config.auth.tokens.file)
    except OSError as error:
        return [f"auth.tokens.file: cannot read {config.auth.tokens.file}: {error.strerror}: no token is known"]
    except TokenFileError as error:
        return [f"auth.tokens.file: {error}"]
    return []


def exporter_warnings(config: Config) -> list[str]:
    """Name the clusters of which nothing is read from Prometheus: this may be wanted, and rarely is.

    And the exporters that are to be believed first of what they do not bring.
    """
    return [
        *_useless_providers(config),
        *_without_exporters(config),
    ]


def _useless_providers(config: Config) -> Iterator[str]:
    for name, cluster in config.clusters.items():
        for kind, exporters in cluster.providers.first.items():
            # Not imported where nothing is said: it takes a while.
            from aggregator.sources.prometheus.catalogue import in_order

            for exporter in sorted({*exporters} - {*in_order(kind, exporters)}):
                yield f"clusters.{name}.providers.{kind}: {exporter} shows no {kind} of jobs"


def _without_exporters(config: Config) -> list[str]:
    return [
        f"clusters.{name}.exporters: none is configured: nothing is read from Prometheus, and what jobs use is not "
        "known (exporters: {slurm_job_exporter: {}})"
        for name, cluster in config.clusters.items()
        if not cluster.exporters.in_use
    ]
