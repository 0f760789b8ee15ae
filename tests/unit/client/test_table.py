"""Tables and bars fit the terminal, in any locale."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.cells import cell_len

from aggregator.client.columns import JOBS
from aggregator.client.screen import Screen
from aggregator.client.table import Column, plain, table

WIDE = "数値流体力学の計算ジョブ番号七"
FACTS: dict[str, Any] = {
    "id": "47451842_104", "user": "a_long_user", "job_name": WIDE, "account": "rrg-lavoie-ab_gpu", "state": "running",
    "elapsed_seconds": 3600.0, "time_limit_seconds": None, "granted_cpus": 48, "requested_cpus": 48, "granted_gpus": 4,
    "requested_gpus_by_type": [], "cpu_efficiency_ratio": 0.5, "memory_efficiency_ratio": None,
    "gpu_efficiency_ratio": 0.1, "gpu_utilization_ratio": None, "wasted_gpu_seconds": 7200.0,
    "wasted_cpu_seconds": None, "waste": [{"reason": "gpu_low_utilization", "severity": "critical"}],
}  # fmt: skip


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Screen]:
    def make(width: int, *, encoding: str = "utf-8") -> Screen:
        monkeypatch.setenv("COLUMNS", str(width))
        return Screen(io.TextIOWrapper(io.BytesIO(), encoding=encoding), {"PYTHONUTF8": "1"})

    return make


def drawn(on: Screen) -> list[str]:
    on.out.seek(0)
    return on.out.read().splitlines()


@pytest.mark.parametrize("width", [80, 90, 100, 120, 200])
def test_jobs_fit_the_width_and_more_columns_come_with_more_of_it(screen: Callable[..., Screen], width: int) -> None:
    on = screen(width)
    table(on, JOBS, [FACTS, {**FACTS, "id": "1"}])
    header, *rows = drawn(on)
    assert all(cell_len(row) <= width for row in (header, *rows))
    assert ("JOB" in header, "VERDICT" in header, "WASTED" in header) == (True, True, True)
    assert ("ACCOUNT" in header) == (width >= 120)
    assert (WIDE in rows[0], "gpu_low_utilization!" in rows[0]) == (width >= 200, width >= 100)


def test_a_text_that_is_cut_says_so(screen: Callable[..., Screen]) -> None:
    for encoding, mark in (("utf-8", "…"), ("latin-1", "~")):
        on = screen(40, encoding=encoding)
        table(on, [plain("a", right=False, least=10)], [{"a": "x" * 90}])
        assert drawn(on)[1] == "x" * 39 + mark


@pytest.mark.parametrize(
    ("ratio", "shown", "plain_shown"),
    [(None, "    ", "    "), (0.0, "░░░░", "...."), (0.001, "▏░░░", "#..."), (0.5, "██░░", "##.."),
     (0.59, "██▍░", "###."), (1.0, "████", "####"), (7.0, "████", "####"), (-1.0, "░░░░", "....")],
)  # fmt: skip
def test_a_bar_of_a_little_is_not_empty_and_of_what_is_not_known_is_nothing(
    screen: Callable[..., Screen], ratio: float | None, shown: str, plain_shown: str
) -> None:
    assert screen(80).bar(ratio, 4) == shown
    assert screen(80, encoding="ascii").bar(ratio, 4) == plain_shown


def test_bars_of_a_column_begin_in_one_place(screen: Callable[..., Screen]) -> None:
    on = screen(80)
    column = Column("N", ("n",), lambda row: str(row["n"]), share=lambda row: row["n"] / 1000)
    table(on, [column], [{"n": 1000}, {"n": 5}])
    assert drawn(on)[1:] == ["████████ 1000", "▏░░░░░░░    5"]


@pytest.mark.parametrize(
    ("encoding", "text", "safe"),
    [("utf-8", "é–数\x1b", "é–数\\x1b"), ("ascii", "é–数\x1b", "\\xe9-\\u6570\\x1b"), ("latin-1", "a · b", "a | b")],
)
def test_a_locale_that_is_not_utf8_has_ascii(
    screen: Callable[..., Screen], encoding: str, text: str, safe: str
) -> None:
    assert screen(80, encoding=encoding).safe(text) == safe


def test_lines_are_broken_between_words_and_keep_what_they_begin_with(screen: Callable[..., Screen]) -> None:
    on = screen(40)
    on.print(["    ", "word " * 12], "", ["end"])
    assert drawn(on) == ["    " + " ".join(["word"] * 7), "    " + " ".join(["word"] * 5), "", "end"]
