"""Declare how to reach the databases and the Prometheus-compatible engines."""

import ssl
from typing import Final

from pydantic import Field

from aggregator.document.secrets import SecretFilePath, SecretSource, SecretText
from aggregator.document.section import PasswordSection, Section
from aggregator.document.types import (
    Count,
    DatabaseName,
    File,
    HalfLife,
    HeaderName,
    Host,
    Interval,
    LabelName,
    Port,
    Text,
    TimeZone,
    Url,
    parse_duration,
)
from aggregator.model.decay import Decay, ResetPeriod


class Tls(Section):
    """Verify a server, and present a client certificate."""

    ca_file: File | None = None
    cert_file: File | None = None
    key_file: File | None = None
    insecure_skip_verify: bool = False

    def context(self) -> ssl.SSLContext:
        """Make a client's side of TLS.

        Raises OSError for a file that cannot be used.
        """
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.cert_file:
            context.load_cert_chain(self.cert_file, self.key_file)
        if self.insecure_skip_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    @property
    def files(self) -> str:
        """Name the files that are used."""
        return ", ".join(str(file) for file in (self.ca_file, self.cert_file, self.key_file) if file)


class Database(PasswordSection):
    """Reach a MySQL or MariaDB server."""

    host: Host
    port: Port = 3306
    user: Text
    statement_timeout: Interval = parse_duration("20s")
    pool_size: Count = 4
    tls: Tls | None = None


class Replica(PasswordSection):
    """Reach a read-only copy of slurmdbd's database; what is not given is as for the primary."""

    host: Host
    port: Port | None = None
    user: Text | None = None
    statement_timeout: Interval | None = None
    pool_size: Count | None = None
    tls: Tls | None = None
    max_lag: Interval = parse_duration("1m")


_SHARED: Final = ("host", "port", "user", "statement_timeout", "pool_size", "tls")


class Priority(Section):
    """Say what slurm.conf says of the decay of usage, by its Priority… parameters."""

    decay_half_life: HalfLife = parse_duration("7d")
    usage_reset_period: ResetPeriod = "none"

    def to_model(self) -> Decay:
        """Give the decay as the join knows it."""
        return Decay(self.decay_half_life, self.usage_reset_period)


class SlurmAcct(Database):
    """Reach slurmdbd's database, and say what of slurm.conf is not in it."""

    database: DatabaseName = "slurm_acct_db"
    replica: Replica | None = None
    timezone: TimeZone | None = None
    priority: Priority | None = None

    def of_replica(self, replica: Replica) -> "SlurmAcct":
        """Give the section that reaches the replica."""
        given = {name: value for name in _SHARED if (value := getattr(replica, name)) is not None}
        if replica.secret:
            given |= {"password": replica.password, "password_file": replica.password_file}
        return self.model_copy(update={**given, "replica": None})


USAGE_CONNECTIONS: Final = 1
"""Usage history has a connection of its own: long readings must not keep the runs waiting."""


class Robinhood(Database):
    """Reach the Robinhood database of one filesystem."""

    database: DatabaseName


class BasicAuth(PasswordSection):
    """Authenticate by name and password."""

    username: Text


class Prometheus(Section):
    """Reach an engine with the HTTP API of Prometheus."""

    url: Url
    matchers: dict[LabelName, str] = Field(default_factory=dict)
    timeout: Interval = parse_duration("30s")
    bearer_token: SecretText | None = None
    bearer_token_file: SecretFilePath | None = None
    basic_auth: BasicAuth | None = None
    headers: dict[HeaderName, SecretText] = Field(default_factory=dict)
    tls: Tls | None = None

    @property
    def bearer(self) -> SecretSource | None:
        """Give the bearer token's source, or None when there is no token."""
        return self.bearer_token_file or self.bearer_token
