"""Log lines stay one line each, whatever is in them."""

import json
import logging

import pytest
from aiohttp import web

from aggregator.logs import JsonFormatter, LogfmtFormatter, set_up_logging

HOSTILE = 'name="x"\nlevel=error \N{ROCKET} \\'


def record(message: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("aggregator.x", logging.WARNING, "x.py", 1, message, arguments, None)


@pytest.mark.parametrize("formatter", [LogfmtFormatter(), JsonFormatter()], ids=["logfmt", "json"])
def test_a_hostile_value_stays_on_one_line(formatter: logging.Formatter) -> None:
    assert "\n" not in formatter.format(record("fetch failed: error=%s", HOSTILE))


def test_logfmt_quotes_what_could_be_read_as_another_field() -> None:
    line = LogfmtFormatter().format(record("fetch failed: error=%s", "a b"))
    assert ' level=warn logger=aggregator.x msg="fetch failed: error=a b"' in line


def test_json_keeps_the_message_whole() -> None:
    fields = json.loads(JsonFormatter().format(record("%s", HOSTILE)))
    assert (fields["level"], fields["msg"]) == ("warn", HOSTILE)


# C1 controls, overrides and isolates of direction, invisible letters, separators of lines, half a surrogate pair.
UNSEEN = "\x1b\x7f\x85\x9b\u200b\u200f\u202e\u2066\u2028\u2029\ufeff\ud800\U000e0001"


def test_what_a_terminal_would_obey_is_escaped_and_letters_are_not() -> None:
    message = f"path=é漢\N{ROCKET}{UNSEEN}"
    written = {form: form.format(record("%s", message)) for form in (LogfmtFormatter(), JsonFormatter())}
    for line in written.values():
        assert line.isprintable()
        assert "é漢\N{ROCKET}" in line
    logfmt, as_json = written.values()
    assert json.loads(logfmt.partition(" msg=")[2]) == message
    assert json.loads(as_json)["msg"] == message


def test_who_looked_at_whose_data_is_written_at_every_level(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("error", "logfmt")
    logging.getLogger("aggregator.audit").info("read: who=%r", "token a (b)")
    logging.getLogger("aggregator.other").info("not shown")
    err = capsys.readouterr().err
    assert "who='token a (b)'" in err
    assert "not shown" not in err


def test_a_clients_broken_body_is_not_an_error_of_the_service(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("info", "logfmt")
    for error in (web.RequestPayloadError("not gzip"), ValueError("ours")):
        logging.getLogger("aiohttp.server").error("Unhandled exception", exc_info=error)
    err = capsys.readouterr().err
    assert "ours" in err
    assert "not gzip" not in err
