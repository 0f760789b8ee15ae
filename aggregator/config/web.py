"""`--web.config.file`: TLS and basic authentication, in the format that Prometheus's exporters share."""

from os import PathLike
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from aggregator.document.file import load_section
from aggregator.document.section import Section
from aggregator.document.types import File, refused

_BCRYPT_PREFIXES = ("$2a$", "$2b$", "$2y$")


def _check_hash(text: str) -> str:
    if not text.startswith(_BCRYPT_PREFIXES) or len(text) != 60:
        # Not quoted: it may be a password.
        raise refused("must be a bcrypt hash, as `htpasswd -nBC 10 USER` prints after the colon")
    return text


class TlsServer(Section):
    """Encrypt, and ask clients for certificates."""

    cert_file: File
    key_file: File
    client_ca_file: File | None = None
    client_auth_type: Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"] = "NoClientCert"
    min_version: Literal["TLS12", "TLS13"] = "TLS12"

    @model_validator(mode="after")
    def _check_client_ca(self) -> "TlsServer":
        if (self.client_auth_type == "NoClientCert") != (self.client_ca_file is None):
            raise refused("client_ca_file and a client_auth_type other than NoClientCert go together")
        return self


class WebConfig(Section):
    """Hold the whole file; basic_auth_users maps names to bcrypt hashes."""

    tls_server_config: TlsServer | None = None
    basic_auth_users: Annotated[
        dict[str, Annotated[str, AfterValidator(_check_hash)]], Field(default_factory=dict, repr=False)
    ]


def load_web(path: str | PathLike[str]) -> WebConfig:
    """Read the file at *path*, or raise ConfigError with every mistake."""
    return load_section(path, WebConfig)[0]
