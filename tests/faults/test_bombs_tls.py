"""With `tls` there is no login without TLS, and without it no password leaves the service."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from pymysql.err import MySQLError

from aggregator.config import State
from aggregator.config.connection import Tls
from aggregator.login import LoginRefusedError, connect
from aggregator.sources.base import FetchError
from aggregator.sources.mysql import Connection, Database
from aggregator.state import StateError
from aggregator.state.database import Database as StateDatabase
from tests.faults.bombs_server import NATIVE, Impostor, switch_to
from tests.lab.mariadb import MariaDB
from tests.lab.ports import LOOPBACK
from tests.lab.service import Service
from tests.scenarios.site import Servers, Site

pytestmark = pytest.mark.mariadb

USER, PASSWORD = "reader", "a secret of the tests"
# What each asks for → a word of what the service says.
ASKED = {
    "mysql_clear_password": switch_to("mysql_clear_password"),
    "mysql_old_password": switch_to("mysql_old_password"),
    "sha256_password": switch_to("sha256_password"),
    "without a name": b"\xfe",
    "no end of the name": b"\xfemysql_old_password",
    "full authentication": b"\x01\x04",
}


@dataclass(frozen=True)
class TlsServer:
    """A MariaDB that offers TLS, and the certificate that vouches for it."""

    mariadb: MariaDB
    certificate: Path


@pytest.fixture(scope="module")
def tls_server() -> Iterator[TlsServer]:
    with TemporaryDirectory(prefix="hpc-aggregator-tls-") as folder:
        root = Path(folder)
        root.chmod(0o755)
        certificate = root / "server.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=db",
             "-addext", f"subjectAltName=IP:{LOOPBACK}", "-keyout", certificate, "-out", root / "only.crt"],
            check=True, capture_output=True,
        )  # fmt: skip
        certificate.write_bytes(certificate.read_bytes() + (root / "only.crt").read_bytes())
        certificate.chmod(0o644)
        server = MariaDB(root, certificate=certificate)
        server.start()
        yield TlsServer(server, root / "only.crt")
        server.stop()


@pytest.fixture
def tls_site(tls_server: TlsServer, servers: Servers, tmp_path: Path) -> Iterator[Site]:
    """A site whose slurmacct is on the server with TLS."""
    tmp_path.chmod(0o755)
    with Site(Servers(tls_server.mariadb, servers.prometheus), tmp_path) as site:
        yield site


def launch(site: Site) -> Service:
    """Start the service where slurmacct will not answer."""
    path = site.root / "config.yml"
    path.write_text(yaml.safe_dump(site.config, sort_keys=False))
    site._service = Service(site, path)  # type: ignore[arg-type]
    site._service.start()
    return site._service


def accounting(site: Site) -> dict[str, Any]:
    """Give slurmacct's state once it was asked."""

    def asked() -> Any:
        found = (each for each in site.service.data("/api/v1/status")["sources"] if each["source"] == "slurmacct")
        return next((each for each in found if each["last_attempt_timestamp_seconds"]), None)

    state: dict[str, Any] = site.wait(asked, "slurmacct to be asked")
    return state


def check(site: Site) -> str:
    """Run `check --connect` and give all that it says."""
    path = site.root / "checked.yml"
    path.write_text(yaml.safe_dump(site.config, sort_keys=False))
    command = [sys.executable, "-m", "aggregator", "check", f"--config.file={path}", "--connect"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    return done.stdout + done.stderr


def test_with_tls_nobody_is_logged_in_where_the_server_does_not_offer_it(site: Site) -> None:
    """Somebody in between who takes the offer out of the greeting gets neither user nor password."""
    with Impostor() as impostor:
        site.settings["slurmacct"] |= {"port": impostor.port, "tls": {"insecure_skip_verify": True}}
        launch(site)
        state = accounting(site)
        assert not state["up"]
        assert "the server does not offer TLS, and tls is set: not logged in" in state["error"]
        impostor.ended()
        assert impostor.received == []


def test_with_tls_a_server_that_has_it_is_read_and_check_says_so(tls_site: Site, tls_server: TlsServer) -> None:
    tls_site.job(1)
    tls_site.settings["slurmacct"] |= {"tls": {"ca_file": str(tls_server.certificate)}}
    tls_site.start()
    assert accounting(tls_site)["up"]
    said = check(tls_site)
    assert f"clusters.{tls_site.cluster}.slurmacct: encrypted (TLSv1.3)" in said
    assert "tls is not set" not in said


def test_without_tls_on_this_machine_all_is_as_before_and_check_says_that_it_is_not_encrypted(site: Site) -> None:
    site.job(1)
    site.start()
    assert accounting(site)["up"]
    said = check(site)
    assert f"clusters.{site.cluster}.slurmacct: not encrypted" in said
    assert "tls is not set" not in said, "on loopback there is nobody in between"


async def error_of(mariadb: MariaDB, user: str, tls: dict[str, Any] | None) -> str:
    """Read one row as the service does, and give the error, "" for none."""
    database = Database(
        Connection(
            key="key", host=LOOPBACK, port=mariadb.port, user=user, password=lambda: PASSWORD,
            database="information_schema", tls=None if tls is None else Tls.model_validate(tls).context(),
        )
    )  # fmt: skip
    try:
        await database.rows("SELECT 1")
    except FetchError as error:
        return str(error)
    finally:
        await database.close()
    return ""


async def test_with_tls_a_real_server_without_it_is_not_read(mariadb: MariaDB) -> None:
    mariadb.create_user(USER, PASSWORD, ["USAGE ON *.*"])
    assert "the server does not offer TLS" in await error_of(mariadb, USER, {"insecure_skip_verify": True})
    assert await error_of(mariadb, USER, None) == ""


async def test_a_certificate_of_somebody_else_is_named(tls_server: TlsServer) -> None:
    tls_server.mariadb.create_user(USER, PASSWORD, ["USAGE ON *.*"])
    error = await error_of(tls_server.mariadb, USER, {})
    assert "no TLS with" in error
    assert "self-signed certificate" in error
    assert await error_of(tls_server.mariadb, USER, {"insecure_skip_verify": True}) == ""


async def test_a_user_who_must_use_tls_is_told_so(tls_server: TlsServer) -> None:
    tls_server.mariadb.create_user("strict", PASSWORD, ["USAGE ON *.*"])
    tls_server.mariadb.execute(f"ALTER USER 'strict'@'{LOOPBACK}' REQUIRE SSL")
    error = await error_of(tls_server.mariadb, "strict", None)
    assert "or set tls if this user must use it (REQUIRE SSL)" in error
    assert "the server says: Access denied for user 'strict'@'127.0.0.1' (using password: YES)" in error
    assert PASSWORD not in error
    assert await error_of(tls_server.mariadb, "strict", {"ca_file": str(tls_server.certificate)}) == ""


@pytest.mark.parametrize("asked", ASKED)
async def test_the_password_itself_is_given_to_nobody_without_tls(asked: str) -> None:
    plugin = "caching_sha2_password" if asked == "full authentication" else NATIVE
    with Impostor(plugin, ASKED[asked]) as impostor:
        with pytest.raises(LoginRefusedError, match="the server asks for the password itself"):
            await connect(host=LOOPBACK, port=impostor.port, user=USER, password=PASSWORD)
        await asyncio.to_thread(impostor.ended)
        # The user's name and a hash over the random bytes, and not a word after that.
        assert len(impostor.received) == 1
        assert PASSWORD.encode() not in impostor.received[0]


@pytest.mark.parametrize("plugin", ["mysql_clear_password", "mysql_old_password", "sha256_password"])
async def test_a_server_that_asks_for_the_password_in_its_greeting_gets_nothing(plugin: str) -> None:
    with Impostor(plugin) as impostor:
        with pytest.raises(LoginRefusedError, match=plugin):
            await connect(host=LOOPBACK, port=impostor.port, user=USER, password=PASSWORD)
        await asyncio.to_thread(impostor.ended)
        assert impostor.received == []


async def test_a_hash_that_is_good_for_one_login_is_given(mariadb: MariaDB) -> None:
    mariadb.create_user(USER, PASSWORD, ["USAGE ON *.*"])
    connection = await connect(host=LOOPBACK, port=mariadb.port, user=USER, password=PASSWORD)
    assert connection.encryption == ""
    connection.close()
    with pytest.raises(MySQLError, match="Access denied"):
        await connect(host=LOOPBACK, port=mariadb.port, user=USER, password="another")


@pytest.mark.parametrize(
    ("answer", "tls", "text"),
    [
        (ASKED["mysql_clear_password"], None, "the server asks for the password itself"),
        (b"", {"insecure_skip_verify": True}, "the server does not offer TLS"),
    ],
    ids=["clear text", "no TLS"],
)
async def test_the_state_is_as_careful(answer: bytes, tls: dict[str, bool] | None, text: str) -> None:
    with Impostor(answer=answer) as impostor:
        url = f"mysql://{USER}@{LOOPBACK}:{impostor.port}/state"
        database = StateDatabase(State.model_validate({"url": url, "password": PASSWORD, "tls": tls}))
        with pytest.raises(StateError, match=text):
            await database.open()
        await database.close()
        await asyncio.to_thread(impostor.ended)
        assert not any(PASSWORD.encode() in data for data in impostor.received)


async def test_the_state_is_kept_on_a_server_with_tls(tls_server: TlsServer) -> None:
    server = tls_server.mariadb
    server.create_database("state")
    server.create_user("keeper", PASSWORD, ["ALL ON `state`.*"])
    server.execute(f"ALTER USER 'keeper'@'{LOOPBACK}' REQUIRE SSL")
    url = f"mysql://keeper@{LOOPBACK}:{server.port}/state"
    tls = {"ca_file": str(tls_server.certificate)}
    database = StateDatabase(State.model_validate({"url": url, "password": PASSWORD, "tls": tls}))
    await database.open()
    await database.close()
