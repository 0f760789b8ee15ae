"""Log lines stay one line each, whatever is in them."""

import json
import logging

import pytest

from aggregator.logs import JsonFormatter, LogfmtFormatter

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
