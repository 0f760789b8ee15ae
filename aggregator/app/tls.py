"""The certificates of the configuration: those that the service shows, and those that it asks its sources with."""

import ssl
from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from aggregator.app.errors import StartError
from aggregator.config import Config, ConfigError, Mistake
from aggregator.config.connection import Tls
from aggregator.config.web import TlsServer


def server_tls(section: TlsServer) -> ssl.SSLContext:
    """Make the server's side of TLS.

    Raises StartError that names what cannot be read.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if section.min_version == "TLS13" else ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(section.cert_file, section.key_file)
        if section.client_ca_file:
            context.load_verify_locations(section.client_ca_file)
    except (OSError, ssl.SSLError) as error:
        raise StartError(f"tls_server_config: the certificate or its key cannot be used: {error}") from error
    if section.client_auth_type != "NoClientCert":
        required = section.client_auth_type == "RequireAndVerifyClientCert"
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
        # A session that is resumed would not ask again whether the client's authority still counts.
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
    return context


def client_tls(key: str, section: Tls) -> ssl.SSLContext:
    """Make a client's side of TLS.

    Raises ConfigError that names what cannot be read.
    """
    try:
        return section.context()
    except OSError as error:
        text = f"cannot use {section.files}: {error}"
        raise ConfigError([Mistake("configuration", None, key, text)]) from error


def check_certificates(config: Config) -> None:
    """Try the certificates that sources are asked with.

    Raises ConfigError for the first that cannot be used.
    """
    for kind in ("clusters", "filesystems", "cloud"):
        for key, section in _tls_sections(kind, getattr(config, kind)):
            client_tls(key, section)


def _tls_sections(key: str, value: object) -> Iterator[tuple[str, Tls]]:
    if isinstance(value, Tls):
        yield key, value
    elif isinstance(value, BaseModel | Mapping):
        for name, item in value.items() if isinstance(value, Mapping) else value:
            yield from _tls_sections(f"{key}.{name}", item)
