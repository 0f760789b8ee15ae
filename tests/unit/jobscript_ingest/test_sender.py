"""Until the service says that it has stored a script, the script stays in the spool."""

import asyncio
import gzip
import logging
from contextlib import suppress
from typing import Any

import pytest
from aiohttp.test_utils import unused_port
from tenacity import Future, RetryCallState

from jobscript_ingest.metrics import AgentMetrics
from jobscript_ingest.script import Version
from jobscript_ingest.send import Sender
from jobscript_ingest.service import SendError, Service, _body, retry_after
from jobscript_ingest.settings import BackOff, BatchLimits, Settings, Target
from jobscript_ingest.spool import Spool
from tests.unit.jobscript_ingest.builders import TEXT, make_script, value
from tests.unit.jobscript_ingest.receiver import Receiver

VERSION = Version(1, 2, 3)


def fill(spool: Spool, *job_ids: int, content: bytes = TEXT) -> None:
    for job_id in job_ids:
        spool.add(make_script(job_id, content), VERSION)


async def run_until(sender: Sender, condition: Any) -> None:
    """Let the sender run until a condition holds."""
    task = asyncio.create_task(sender.run())
    try:
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.005)
                assert not task.done(), task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_an_empty_spool_sends_nothing(sender: Sender, receiver: Receiver) -> None:
    assert not await sender.send_batch()
    assert receiver.requests == []


async def test_what_is_stored_leaves_the_spool(
    sender: Sender, receiver: Receiver, spool: Spool, metrics: AgentMetrics
) -> None:
    script = make_script(5, b"caf\xe9\xff\0", written_at=1_700_000_000.123456, size=99, truncated=True, redactions=2)
    spool.add(script, VERSION)

    assert await sender.send_batch()

    stored = receiver.scripts[5][0]
    assert stored == {
        "job_id": 5, "written_at": 1_700_000_000.123456, "content": b"caf\xe9\xff\0", "sha256": script.sha256,
        "size": 99, "truncated": True, "redactions": 2,
    }  # fmt: skip
    assert spool.status().unsent == 0
    assert value(metrics, "scripts_sent_total") == 1
    assert value(metrics, "last_success_timestamp_seconds") is not None


async def test_a_request_is_what_the_contract_says(sender: Sender, receiver: Receiver, spool: Spool) -> None:
    fill(spool, 5)
    await sender.send_batch()

    headers = receiver.headers[0]
    assert headers["Authorization"] == "Bearer s3cret-token"
    assert headers["Content-Type"] == "application/json"
    assert headers["Content-Encoding"] == "gzip"


async def test_batches_keep_their_limits(
    receiver: Receiver, settings: Settings, spool: Spool, metrics: AgentMetrics
) -> None:
    fill(spool, *range(1, 6))
    async with Service(settings.target) as service:
        sender = Sender(spool, service, metrics, BatchLimits(scripts=2))
        while await sender.send_batch():
            pass

    assert receiver.requests == [[1, 2], [3, 4], [5]]


async def test_a_service_that_is_down_gets_everything_when_it_is_up(
    settings: Settings, spool: Spool, metrics: AgentMetrics, receiver: Receiver, aiohttp_server: Any
) -> None:
    port = unused_port()
    target = Target(
        "narval", f"http://127.0.0.1:{port}/prefix", settings.target.token_file, back_off=BackOff(0.01, 0.02)
    )
    fill(spool, 1, 2)
    async with Service(target) as service:
        sender = Sender(spool, service, metrics, back_off=target.back_off)
        await run_until(sender, lambda: value(metrics, "send_failures_total") == 3)
        assert (receiver.requests, spool.status().unsent) == ([], 2)

        await aiohttp_server(receiver.app(), port=port)
        await run_until(sender, lambda: len(receiver.scripts) == 2 and not spool.status().unsent)


@pytest.mark.parametrize("status", [301, 404, 405, 408, 415, 429, 500, 502, 503, 504])
async def test_an_answer_that_is_not_about_the_script_keeps_it(
    sender: Sender, receiver: Receiver, spool: Spool, status: int
) -> None:
    """A wrong address must not set every script of the cluster aside."""
    fill(spool, 1)
    receiver.fail(status, Location="/elsewhere")

    with pytest.raises(SendError, match=rf"^--aggregator\.url: .*{status}"):
        await sender.send_batch()

    assert spool.status().unsent == 1
    assert await sender.send_batch()
    assert spool.status().unsent == 0


@pytest.mark.parametrize("body", ["", "<html>", "[]", "{}", '{"data": {"stored": 5}}', '{"data": {"stored": [{}]}}'])
async def test_an_answer_that_is_not_the_services_keeps_the_scripts(
    sender: Sender, receiver: Receiver, spool: Spool, body: str
) -> None:
    """A proxy's page of welcome is a 200 too."""
    fill(spool, 1)
    receiver.fail(200, body)

    with pytest.raises(SendError, match="the answer is not hpc-aggregator's"):
        await sender.send_batch()

    assert spool.status().unsent == 1


async def test_a_script_of_which_the_service_says_nothing_stays_and_lets_others_go_first(
    sender: Sender, receiver: Receiver, spool: Spool
) -> None:
    fill(spool, 1, 2)
    receiver.forgets = {1}

    with pytest.raises(SendError, match="said nothing of 1 scripts"):
        await sender.send_batch()
    fill(spool, 3)
    with pytest.raises(SendError):
        await sender.send_batch()

    assert receiver.requests == [[1, 2], [3, 1]]
    assert spool.status().unsent == 1


@pytest.mark.parametrize("status", [401, 403])
async def test_a_token_that_is_not_enough_is_named_with_its_scope(
    sender: Sender, receiver: Receiver, spool: Spool, settings: Settings, status: int
) -> None:
    fill(spool, 1)
    receiver.fail(status, '{"status": "error", "error": "no such token"}')

    with pytest.raises(SendError) as caught:
        await sender.send_batch()

    assert (
        f"--aggregator.token-file: {settings.target.token_file} must hold a token with the scope ingest:narval"
        in str(caught.value)
    )
    assert "no such token" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert spool.status().unsent == 1


async def test_a_token_that_is_replaced_is_used_at_once(
    sender: Sender, receiver: Receiver, spool: Spool, settings: Settings, metrics: AgentMetrics
) -> None:
    fill(spool, 1)
    receiver.token = "new-token"
    await run_until(sender, lambda: value(metrics, "send_failures_total") == 2)
    assert receiver.scripts == {}

    settings.target.token_file.path.unlink()
    settings.target.token_file.path.write_text("new-token\n")

    await run_until(sender, lambda: bool(receiver.scripts) and not spool.status().unsent)


@pytest.mark.parametrize("token", ["", "\n", "two words", "line\nline", "\N{ROCKET}"])
async def test_a_file_without_a_token_is_named(sender: Sender, spool: Spool, settings: Settings, token: str) -> None:
    fill(spool, 1)
    settings.target.token_file.path.unlink()
    settings.target.token_file.path.write_text(token)

    with pytest.raises(SendError, match=r"^--aggregator\.token-file: .* must hold one token and nothing else"):
        await sender.send_batch()


async def test_a_token_file_that_is_gone_is_named(sender: Sender, spool: Spool, settings: Settings) -> None:
    fill(spool, 1)
    settings.target.token_file.path.unlink()

    with pytest.raises(SendError, match=r"^--aggregator\.token-file: cannot read .*: No such file"):
        await sender.send_batch()


@pytest.mark.parametrize("at_fault", [1, 4, 7])
async def test_a_script_that_is_too_large_is_set_aside_and_the_others_arrive(
    sender: Sender, receiver: Receiver, spool: Spool, metrics: AgentMetrics, caplog: Any, at_fault: int
) -> None:
    fill(spool, *range(1, 8))
    receiver.too_large = frozenset({at_fault})

    while await sender.send_batch():
        pass

    assert set(receiver.scripts) == set(range(1, 8)) - {at_fault}
    assert (spool.status().unsent, spool.status().refused) == (0, 1)
    assert value(metrics, "scripts_refused_total", reason="http_413") == 1
    assert caplog.text.count(f"set aside: job_id={at_fault} error=413") == 1


async def test_a_bad_request_is_of_the_script_too(
    sender: Sender, receiver: Receiver, spool: Spool, metrics: Any
) -> None:
    fill(spool, 1)
    receiver.fail(400)

    await sender.send_batch()

    assert value(metrics, "scripts_refused_total", reason="http_400") == 1


async def test_a_rejected_script_is_set_aside_and_the_others_arrive(
    sender: Sender, receiver: Receiver, spool: Spool, metrics: AgentMetrics, caplog: Any
) -> None:
    fill(spool, 1, 2, 3)
    receiver.rejects = {2: 'the "job"\nis not known'}

    assert await sender.send_batch()
    assert not await sender.send_batch()

    assert set(receiver.scripts) == {1, 3}
    assert value(metrics, "scripts_refused_total", reason="rejected") == 1
    assert caplog.text.count("job_id=2") == 1


async def test_one_kind_of_failure_is_logged_once(
    sender: Sender, receiver: Receiver, spool: Spool, metrics: AgentMetrics, caplog: Any
) -> None:
    caplog.set_level(logging.INFO)
    fill(spool, 1)
    for _ in range(3):
        receiver.fail(503)

    await run_until(sender, lambda: value(metrics, "scripts_sent_total") == 1)

    assert caplog.text.count("scripts not sent") == 1
    assert caplog.text.count("scripts are sent again") == 1
    assert value(metrics, "send_failures_total") == 3


async def test_what_is_spooled_while_the_sender_waits_is_sent(sender: Sender, receiver: Receiver, spool: Spool) -> None:
    fill(spool, 1)
    await run_until(sender, lambda: 1 in receiver.scripts)
    task = asyncio.create_task(sender.run())
    await asyncio.sleep(0)

    fill(spool, 2)
    sender.wake()

    async with asyncio.timeout(10):
        while 2 not in receiver.scripts:
            await asyncio.sleep(0.005)
    task.cancel()


@pytest.mark.parametrize(("header", "seconds"), [(None, None), ("", None), ("7", 7.0), ("x", None), ("-5", None)])
def test_the_time_to_wait_is_read_from_the_answer(header: str | None, seconds: float | None) -> None:
    assert retry_after(header) == seconds


def test_a_date_to_wait_for_that_is_past_is_now() -> None:
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0


async def test_an_error_carries_the_time_to_wait(sender: Sender, receiver: Receiver, spool: Spool) -> None:
    fill(spool, 1)
    receiver.fail(429, Retry_After="17")

    with pytest.raises(SendError) as caught:
        await sender.send_batch()

    assert caught.value.retry_after == 17.0


async def test_the_pause_is_random_within_its_bounds_and_not_less_than_asked(sender: Sender) -> None:
    def pause(attempt: int, asked: float | None) -> float:
        state = RetryCallState(None, None, (), {})  # type: ignore[arg-type]
        state.attempt_number = attempt
        state.outcome = Future.construct(attempt, SendError("x", asked), True)
        return sender._pause(state)

    sender._back_off = BackOff()
    pauses = [pause(attempt, None) for attempt in range(1, 200)]
    assert all(1 <= seconds <= 300 for seconds in pauses)
    assert len({round(seconds, 3) for seconds in pauses[20:]}) > 100
    assert max(pauses) > 150
    assert pause(1, 900.0) == 900.0
    assert pause(1, 1e9) == 3600.0


async def test_tls_needs_the_authority_that_signed(settings: Settings, spool: Spool, metrics: AgentMetrics) -> None:
    """A server that nobody vouches for does not get the token."""
    target = Target("narval", settings.target.url.replace("http:", "https:"), settings.target.token_file)
    fill(spool, 1)
    async with Service(target) as service:
        with pytest.raises(SendError, match=r"^--aggregator\.url: https://"):
            await Sender(spool, service, metrics).send_batch()
    assert spool.status().unsent == 1


def test_the_body_is_json_in_gzip() -> None:
    assert gzip.decompress(_body([make_script(1, b"a")])).startswith(b'{"scripts":[{"job_id":1,')
