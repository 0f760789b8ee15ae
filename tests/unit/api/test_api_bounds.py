"""Whose requests count together, how the allowance fills up, and which names are the service's."""

import socket
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from aggregator.api.access import CLUSTERS, HEALTH, METRICS
from aggregator.api.address import address_key
from aggregator.api.bounds import Allowances
from aggregator.api.errors import RateLimited
from aggregator.api.identity import TrustedProxy
from aggregator.api.origin import own_names
from aggregator.api.tokens.store import TokenStore
from aggregator.config import ConfigError, parse

from .builders import make_job, publish_jobs
from .conftest import Service
from .tokens import bearer, make_token


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
    ],
)
def test_of_ipv6_a_network_is_one_client(address: str, key: str) -> None:
    assert address_key(address) == key


def test_an_allowance_fills_up_with_time_and_not_beyond_its_burst() -> None:
    now = 0.0
    allowances = Allowances(lambda: now)

    def take(times: int, who: str = "a") -> None:
        for _ in range(times):
            allowances.take(who, 2, 4)

    take(4)
    with pytest.raises(RateLimited) as refused:
        take(1)
    assert refused.value.headers == {"Retry-After": "1"}
    take(4, "b")
    now = 1.0
    take(2)
    now = 1000.0
    take(4)
    with pytest.raises(RateLimited):
        take(1)


def test_the_service_s_names_are_the_configured_ones_the_machine_s_and_loopback_s() -> None:
    names = own_names("https://HPC.example.org:8443/aggregator/", ("node1", "node1-ib"), ("svc.monitoring",))
    assert names >= {"hpc.example.org", "node1", "svc.monitoring", "localhost", socket.gethostname().lower()}
    assert "" not in own_names("", ("",), ())


EVIL = {"Host": "evil.example"}


async def test_who_shows_a_secret_may_use_any_name(idle_service: Service, aiohttp_client: Any, tmp_path: Path) -> None:
    """A page that lets its own name lead here has no token; a user's name in a header is no secret."""
    publish_jobs(idle_service.store, make_job(101))
    file = tmp_path / "tokens.yml"
    token = bearer(make_token(file, "readall0", "read:all"))
    proxy = TrustedProxy((ip_network("127.0.0.0/8"),), "X-User")
    areas = frozenset({HEALTH, METRICS, CLUSTERS})
    settings: dict[str, Any] = {"tokens": TokenStore(file), "proxy": proxy, "hosts": frozenset({"hpc.example"})}
    client = await aiohttp_client(idle_service.app(open_areas=areas, is_local=False, **settings))

    async def status(path: str, *headers: dict[str, str]) -> int:
        sent = {name: value for given in headers for name, value in given.items()}
        return int((await client.get(path, headers=sent)).status)

    path, named, user = "/api/v1/clusters/narval/jobs", {"Host": "HPC.example.:1"}, {"X-User": "alice"}
    assert [await status(path, token, EVIL), await status(path, user, EVIL), await status(path, user, named)] == [
        200, 421, 200,
    ]  # fmt: skip
    # Others can connect: Prometheus may scrape by any name of the machine.
    assert [await status("/metrics", EVIL), await status("/api/v1/clusters", EVIL)] == [200, 421]


@pytest.mark.parametrize(
    ("server", "mistake"),
    [
        ("bounds: { connections: 15 }", "server.bounds.connections: must be an integer of at least 16, got 15"),
        ("bounds: { burst: 0 }", "server.bounds.burst: must be an integer of at least 1, got 0"),
        ("bounds: { request_timeout: 30 }", "server.bounds.request_timeout: must be a duration"),
        ('allowed_hosts: ["h:9850"]', "must be a host name, without a port"),
        ('allowed_hosts: ["https://h"]', "must be a host name, without a port"),
    ],
)
def test_bounds_and_names_that_cannot_be_are_mistakes(server: str, mistake: str) -> None:
    with pytest.raises(ConfigError, match=mistake):
        parse(f"server: {{ {server} }}\nclusters: {{}}\n", "config.yml")
