"""TLS, client certificates and passwords on a real socket."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from aggregator.api.access import AREAS
from aggregator.api.keys import ApiSettings, Upkeep
from aggregator.app.errors import StartError
from aggregator.app.http import listen
from aggregator.app.openness import open_areas
from aggregator.app.service import Service
from aggregator.app.tls import server_tls
from aggregator.config import Bounds, ListenAddress, State, WebConfig, load_web
from aggregator.state import StateStore
from tests.lab.packages import ensure_packages
from tests.lab.ports import LOOPBACK, free_port


def certificate(folder: Path, name: str) -> None:
    ensure_packages(["openssl"])
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
         "-addext", f"subjectAltName=IP:{LOOPBACK}", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt"],
        check=True, capture_output=True,
    )  # fmt: skip


@asynccontextmanager
async def served(folder: Path, web: WebConfig, **bounds: object) -> AsyncIterator[str]:
    service = Service(StateStore(State.model_validate({"url": f"sqlite:///{folder}/state.db"})))
    settings = ApiSettings(
        external_url="", stale_after=1.0, version="0", open_areas=AREAS, upkeep=Upkeep(reload=nothing),
        bounds=Bounds.model_validate(bounds),
    )  # fmt: skip
    port = free_port()
    tls = server_tls(web.tls_server_config) if web.tls_server_config else None
    async with listen(service, settings, [ListenAddress(LOOPBACK, port)], web.basic_auth_users, tls):
        yield f"https://{LOOPBACK}:{port}/-/healthy"


async def nothing() -> str | None:
    return None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("server", "client"):
        certificate(tmp_path, name)
    return tmp_path


def web_config(folder: Path, **changes: str) -> WebConfig:
    keys = {"cert_file": "server.crt", "key_file": "server.key", **changes}
    (folder / "web.yml").write_text(
        "tls_server_config: {" + ", ".join(f"{name}: {value}" for name, value in keys.items()) + "}"
    )
    return load_web(folder / "web.yml")


async def status(url: str, context: ssl.SSLContext) -> int:
    async with aiohttp.ClientSession() as session, session.get(url, ssl=context) as answer:
        return answer.status


async def test_it_speaks_tls(folder: Path) -> None:
    async with served(folder, web_config(folder)) as url:
        assert await status(url, ssl.create_default_context(cafile=folder / "server.crt")) == 200


async def test_browsers_are_told_to_use_tls_where_there_is_tls(folder: Path) -> None:
    context = ssl.create_default_context(cafile=folder / "server.crt")
    async with aiohttp.ClientSession() as session:
        async with served(folder, web_config(folder)) as url, session.get(url, ssl=context) as answer:
            assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        async with served(folder, WebConfig()) as url, session.get(url.replace("https", "http")) as answer:
            assert "Strict-Transport-Security" not in answer.headers


async def test_those_who_never_shake_hands_make_room_and_end(folder: Path) -> None:
    context = ssl.create_default_context(cafile=folder / "server.crt")
    async with served(folder, web_config(folder), connections=16, header_timeout="1s") as url:
        port = int(url.split(":")[2].partition("/")[0])
        silent = [await asyncio.open_connection(LOOPBACK, port) for _ in range(100)]
        async with asyncio.timeout(30):
            assert await status(url, context) == 200
            assert [await reader.read() for reader, _ in silent] == [b""] * 100
            assert await status(url, context) == 200
        for _, writer in silent:
            writer.close()


async def test_a_client_without_the_required_certificate_is_turned_away(folder: Path) -> None:
    web = web_config(folder, client_ca_file="client.crt", client_auth_type="RequireAndVerifyClientCert")
    async with served(folder, web) as url:
        context = ssl.create_default_context(cafile=folder / "server.crt")
        with pytest.raises(aiohttp.ClientError):
            await status(url, context)
        context.load_cert_chain(folder / "client.crt", folder / "client.key")
        assert await status(url, context) == 200
        await asyncio.sleep(0)


async def test_a_key_that_does_not_fit_is_named(folder: Path) -> None:
    with pytest.raises(StartError, match="the certificate or its key cannot be used"):
        async with served(folder, web_config(folder, key_file="client.key")):
            pass


def test_known_clients_may_read_everything_on_any_address(folder: Path) -> None:
    everywhere = ListenAddress("", 9850)
    required = web_config(folder, client_ca_file="client.crt", client_auth_type="RequireAndVerifyClientCert")
    assert open_areas(everywhere, None, required) == AREAS
    with pytest.raises(StartError, match="can be reached from other machines"):
        open_areas(everywhere, None, web_config(folder))
