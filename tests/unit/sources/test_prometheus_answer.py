"""Answers are decoded while they arrive: however they are cut, the same comes out."""

import asyncio
import json
import random
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.sources.job_numbers import JobNumbers
from aggregator.sources.prometheus.answer import AnswerError, read_answer
from aggregator.sources.prometheus.client import Sample, Series
from aggregator.sources.prometheus.vector import VectorColumns

VECTOR = msgspec.json.Decoder(list[Sample])
MATRIX = msgspec.json.Decoder(list[Series])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ['{"metric":', ',{"metric":{', "}]}", '"', "\\", "]", ',"value":[1,"2"]}'],
)  # fmt: skip
LABELS = st.sampled_from(["slurmjobid", "instance", "gpu", "UUID", "value", "class"])
SAMPLES = st.lists(st.tuples(st.dictionaries(TEXT, TEXT, max_size=3), TEXT), max_size=6)


def body(result: Any, kind: str = "vector", **more: Any) -> bytes:
    """Write an answer as Prometheus does, without spaces."""
    data = {"resultType": kind, "result": result}
    return json.dumps({"status": "success", "data": data, **more}, separators=(",", ":"), ensure_ascii=False).encode()


def read(pieces: list[bytes], kind: str = "vector", decoder: Any = VECTOR) -> tuple[list[Any], tuple[str, ...]]:
    """Give the series and the warnings."""

    async def chunks() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    series: list[Any] = []
    return series, asyncio.run(read_answer(chunks(), kind, decoder, series))


def cut(text: bytes, seed: int) -> list[bytes]:
    dice = random.Random(seed)
    places = sorted(dice.randrange(len(text) + 1) for _ in range(dice.randrange(8)))
    return [text[first:last] for first, last in zip([0, *places], [*places, len(text)], strict=True)]


@given(SAMPLES, st.integers(0, 1000), st.lists(TEXT, max_size=2), st.booleans())
def test_whatever_the_labels_and_the_cuts_the_same_series_come_out(
    samples: list[tuple[dict[str, str], str]], seed: int, warnings: list[str], spaced: bool
) -> None:
    result = [{"metric": labels, "value": [1.5, value]} for labels, value in samples]
    text = body(result, warnings=warnings)
    if spaced:
        text = json.dumps(json.loads(text)).encode()
    series, said = read(cut(text, seed))
    assert [(one.metric, one.value[1]) for one in series] == samples
    assert said == tuple(warnings)


@given(
    st.lists(st.tuples(st.dictionaries(LABELS, TEXT, max_size=3), TEXT), max_size=6),
    st.integers(0, 1000),
    st.dictionaries(st.sampled_from(["job", "node", "gpu"]), LABELS),
)
def test_however_it_is_cut_a_vector_has_the_wanted_labels_as_columns(
    samples: list[tuple[dict[str, str], str]], seed: int, labels: dict[str, str]
) -> None:
    columns = VectorColumns(labels)
    series = [{"metric": metric, "value": [1.5, value]} for metric, value in samples]

    async def chunks() -> AsyncIterator[bytes]:
        for piece in cut(body(series), seed):
            yield piece

    asyncio.run(read_answer(chunks(), "vector", columns.decoder, columns))
    frame = columns.frame()
    assert frame.schema == dict.fromkeys((*labels, "value"), pl.String)
    wanted = [(*(metric.get(label, "") for label in labels.values()), value) for metric, value in samples]
    assert frame.rows() == wanted


@given(st.lists(st.sampled_from(["4711", "0012", "", "error", "4711_3", "12345678901", "s1TXYZ", "-1", " 1", "1\n"])))
def test_job_ids_are_numbers_of_ten_digits_at_most(texts: list[str]) -> None:
    found = JobNumbers().of(pl.Series(texts, dtype=pl.String))
    assert found.dtype == pl.Int64
    assert found.to_list() == [int(text) if text in ("4711", "0012") else None for text in texts]


@given(st.integers(0, 1000), st.integers(0, 300))
def test_an_answer_that_breaks_off_is_an_error_wherever_it_does(seed: int, at: int) -> None:
    text = body([{"metric": {"a": str(number)}, "value": [1, "2"]} for number in range(5)])
    with pytest.raises(AnswerError, match="not the answer of a Prometheus API"):
        read(cut(text[: min(at, len(text) - 1)], seed))


@given(st.integers(0, 1000))
def test_a_matrix_is_read_in_pieces_too(seed: int) -> None:
    result = [{"metric": {"a": str(number)}, "values": [[1, "2"], [2, "+Inf"]]} for number in range(5)]
    series, _ = read(cut(body(result, "matrix"), seed), "matrix", MATRIX)
    assert [one.values for one in series] == [[(1.0, "2"), (2.0, "+Inf")]] * 5


def test_the_body_is_not_held_beside_what_was_read_of_it() -> None:
    text = body([{"metric": {"a": str(number), "b": "x" * 500}, "value": [1, "2"]} for number in range(20_000)])

    def pieces() -> Iterator[bytes]:
        for first in range(0, len(text), 1 << 16):
            yield text[first : first + (1 << 16)]

    async def chunks() -> AsyncIterator[bytes]:
        for piece in pieces():
            yield piece

    async def measure() -> tuple[int, int]:
        tracemalloc.start()
        series: list[Any] = []
        await read_answer(chunks(), "vector", VECTOR, series)
        kept, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return len(series), peak - kept

    series, beside = asyncio.run(measure())
    assert series == 20_000
    assert beside < len(text) / 4


@given(st.sampled_from(["[", '{"a":', '[{"metric":', '{"metric":{"a":']), st.integers(1, 100_000), st.integers(0, 300))
def test_what_is_nested_without_end_is_no_answer_wherever_it_is(opening: str, times: int, at: int) -> None:
    whole = body([{"metric": {"a": "b"}, "value": [1, "2"]}] * 3)
    at = min(at, len(whole) - 1)
    with pytest.raises(AnswerError):
        read([whole[:at] + opening.encode() * times])


@pytest.mark.parametrize(("most", "limit"), [("MAX_SERIES", 9), ("MAX_POINTS", 29), ("MAX_UNCUT_BYTES", 40)])
def test_more_than_the_most_is_not_kept(monkeypatch: pytest.MonkeyPatch, most: str, limit: int) -> None:
    text = body([{"metric": {}, "values": [[1, "2"], [2, "3"], [3, "4"]]}] * 10, "matrix")
    assert len(read([text[:100], text[100:]], "matrix", MATRIX)[0]) == 10
    monkeypatch.setattr(f"aggregator.sources.prometheus.answer.{most}", limit)
    with pytest.raises(AnswerError, match="the answer has"):
        read([text[:100], text[100:]], "matrix", MATRIX)
