"""The keys of access tokens: which are taken, and how often they are asked for."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from aggregator.api.jwt.fetch import MAX_BYTES
from aggregator.api.jwt.keys import LONGEST_SECONDS, KeySet, KeysUnavailable, KeyUrl, read_keys

EC_KEY = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True)


def listed(key_id: str, **changes: Any) -> dict[str, Any]:
    return {**EC_KEY, "kid": key_id, **changes}


def key_set(*keys: Any) -> bytes:
    return json.dumps({"keys": keys}).encode()


@dataclass
class FakePlace:
    """Keys that a test changes, or an error, and how often they were read; a reading ends when it may."""

    text: bytes
    interval: float = 3600.0
    pause: float = 30.0
    error: Exception | None = None
    reads: int = 0
    may_end: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self) -> bytes:
        self.reads += 1
        await self.may_end.wait()
        if self.error:
            raise self.error
        return self.text


@pytest.fixture
def place() -> FakePlace:
    place = FakePlace(key_set(listed("a")))
    place.may_end.set()
    return place


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(place: FakePlace, clock: Clock) -> KeySet:
    return KeySet(place, clock)


async def test_many_who_ask_for_unknown_keys_cause_one_reading_in_a_pause(
    keys: KeySet, place: FakePlace, clock: Clock
) -> None:
    place.may_end.clear()
    asking = [asyncio.create_task(keys.find(f"x{number}")) for number in range(100)]
    await asyncio.sleep(0)
    asking[0].cancel()
    place.may_end.set()
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert found[1:] == [None] * 99
    assert [await keys.find(f"y{number}") for number in range(100)] == [None] * 100
    assert place.reads == 1
    clock.now += 30
    assert [await keys.find(f"z{number}") for number in range(100)] == [None] * 100
    assert place.reads == 2


async def test_a_known_key_never_waits_for_a_place_that_hangs(keys: KeySet, place: FakePlace, clock: Clock) -> None:
    assert await keys.find("a")
    place.may_end.clear()
    clock.now += 3600
    assert await keys.find("a")
    assert place.reads == 1, "the second has not begun yet"
    await asyncio.sleep(0)
    assert place.reads == 2
    assert await keys.find("a")
    place.may_end.set()


async def test_while_keys_cannot_be_read_those_that_were_known_are_believed_for_a_day(
    keys: KeySet, place: FakePlace, clock: Clock
) -> None:
    assert await keys.find("a")
    place.error = OSError("no route to host")
    clock.now += LONGEST_SECONDS
    assert await keys.find("a")
    await asyncio.sleep(0)
    clock.now += 1
    with pytest.raises(KeysUnavailable, match="no route to host"):
        await keys.find("a")
    place.error = None
    clock.now += 30
    await keys.find("new")
    assert await keys.find("a")


async def test_without_any_keys_nothing_can_be_checked(keys: KeySet, place: FakePlace) -> None:
    place.text = b"<html>"
    with pytest.raises(KeysUnavailable, match="no token can be checked now"):
        await keys.find("a")


async def test_a_place_that_hangs_is_given_up_and_asked_again(place: FakePlace, clock: Clock) -> None:
    keys = KeySet(place, clock, timeout=0.01)
    place.may_end.clear()
    with pytest.raises(KeysUnavailable, match="TimeoutError"):
        await keys.find("a")
    place.may_end.set()
    clock.now += 30
    assert await keys.find("a")


def test_only_public_keys_for_signatures_that_are_strong_enough_are_taken() -> None:
    weak = RSAAlgorithm.to_jwk(
        rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key(), as_dict=True
    )
    found = read_keys(
        key_set(
            listed("a"), listed("b", alg="ES256"), listed("enc", use="enc"), {**weak, "kid": "weak"},
            {"kty": "oct", "k": "c2VjcmV0", "kid": "secret"}, {**EC_KEY}, listed("c", crv="P-999"),
            listed("d", alg="HS256"), "x", {"kid": 5},
        )
    )  # fmt: skip
    assert {key_id: (key.type, key.algorithm) for key_id, key in found.items()} == {
        "a": ("EC", None),
        "b": ("EC", "ES256"),
    }


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"{}", b'{"keys": {}}', key_set(), key_set(*[listed(str(number)) for number in range(101)]),
     b'{"keys":' + b"[" * 100_000, b" " * (MAX_BYTES + 1)],
    ids=["empty", "list", "none", "object", "no key", "many", "deep", "large"],
)  # fmt: skip
def test_what_is_no_key_set_is_an_error(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_keys(text)


def test_an_unknown_key_is_looked_for_twice_a_minute_at_most() -> None:
    assert KeyUrl("https://h", None, 3600.0).pause == 30.0
    assert KeyUrl("https://h", None, 5.0).pause == 5.0
