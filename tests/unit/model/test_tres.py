import re
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.tres import (
    Allocation,
    allocation,
    board_part,
    gpu_types,
    gpu_units,
    license_names,
    parse_tres,
)

CATALOG = {
    1: ("cpu", ""),
    2: ("mem", ""),
    1001: ("gres", "gpu"),
    1002: ("gres", "gpu:a100"),
    1003: ("gres", "gpu:a100_3g.20gb"),
    1004: ("gres", "gpumem"),
    1005: ("gres", "gpuutil"),
    1006: ("license", "gpu:a100"),
}
GPU_IDS = gpu_types(CATALOG)
ENTRY = re.compile(r"[0-9]+=[0-9]+")


def test_counts_are_read_by_id() -> None:
    assert parse_tres("1=4,2=8000,4=1,1001=2") == {1: 4, 2: 8000, 4: 1, 1001: 2}


@pytest.mark.parametrize("sentinel", [2**63, 2**64 - 2, 2**64 - 1, 10**30])
def test_counts_from_two_to_the_63_on_are_missing(sentinel: int) -> None:
    assert parse_tres(f"1=4,3={sentinel}") == {1: 4}


def test_the_largest_real_count_is_kept() -> None:
    assert parse_tres(f"3={2**63 - 1}") == {3: 2**63 - 1}


@pytest.mark.parametrize("garbage", ["", ",", "=", "1=", "=1", "cpu=4", "1=-4", "1=4.5", "1==4", "1:4", "²=4", "1=4M"])
def test_garbage_is_dropped_and_its_neighbours_kept(garbage: str) -> None:
    assert parse_tres(f"2=7,{garbage},4=1") == {2: 7, 4: 1}


@pytest.mark.parametrize("text", ["1=" + "9" * 5000, "9" * 5000 + "=1"])
def test_numbers_beyond_what_python_converts_are_dropped(text: str) -> None:
    assert parse_tres(f"{text},4=1") == {4: 1}


@given(st.text(max_size=60) | st.text(alphabet="0123456789=,-. ", max_size=60))
def test_no_text_raises(text: str) -> None:
    counts = parse_tres(text)
    assert all(0 <= count < 2**63 for count in counts.values())


@given(st.dictionaries(st.integers(1, 9999), st.integers(0, 2**63 - 1), max_size=8))
def test_what_is_written_is_read_back(counts: dict[int, int]) -> None:
    assert parse_tres(",".join(f"{key}={count}" for key, count in counts.items())) == counts


def test_gpus_are_found_by_type_and_name() -> None:
    assert GPU_IDS == {1001: None, 1002: "a100", 1003: "a100_3g.20gb"}


@pytest.mark.parametrize(
    ("text", "gpus"),
    [
        ("1001=2,1002=2", {"a100": 2}),
        ("1001=4,1002=2", {"a100": 2, "": 2}),
        ("1001=3", {"": 3}),
        ("1002=2", {"a100": 2}),
        ("1001=3,1002=1,1003=2", {"a100": 1, "a100_3g.20gb": 2}),
        ("1001=0", {}),
        ("1=4", {}),
        ("1001=1,1002=2", {"a100": 2}),
    ],
)
def test_typed_gpus_are_not_counted_twice(text: str, gpus: dict[str, int]) -> None:
    held = allocation(parse_tres(text), GPU_IDS)
    assert held.gpus == gpus
    assert held.gpu_count == sum(gpus.values())


def test_memory_of_an_allocation_is_in_mebibytes() -> None:
    assert allocation(parse_tres("1=4,2=8000,4=2"), {}) == Allocation(4, 8000 * 2**20, 2, {})


def test_what_is_not_tracked_is_nothing_held() -> None:
    assert allocation(parse_tres(f"2={2**64 - 2}"), GPU_IDS) == Allocation()


@given(st.dictionaries(st.sampled_from([1001, 1002, 1003]), st.integers(0, 100)))
def test_a_gpu_count_is_the_larger_of_the_generic_and_the_typed_ones(counts: dict[int, int]) -> None:
    typed = counts.get(1002, 0) + counts.get(1003, 0)
    assert allocation(counts, GPU_IDS).gpu_count == max(counts.get(1001, 0), typed)


PAIRS = st.tuples(st.integers(1, 99_999), st.integers(0, 2**63 - 1))


@given(
    st.lists(PAIRS, unique_by=lambda pair: pair[0]), st.lists(st.text(alphabet="=-. kM²x1", max_size=30)), st.randoms()
)
def test_garbage_between_entries_changes_no_count(
    pairs: list[tuple[int, int]], garbage: list[str], random: Any
) -> None:
    entries = [f"{key}={count}" for key, count in pairs] + [text for text in garbage if not ENTRY.fullmatch(text)]
    random.shuffle(entries)
    assert parse_tres(",".join(entries)) == dict(pairs)


@given(st.text(alphabet="0123456789=,", max_size=80))
def test_no_allocation_is_negative(text: str) -> None:
    held = allocation(parse_tres(text), GPU_IDS)
    assert min(held.cpus, held.memory_bytes or 0, held.nodes, held.gpu_count, *held.gpus.values()) >= 0


@pytest.mark.parametrize(
    "text", ["," * 65_535, "=" * 65_535, "1=1," * 16_000, "9" * 65_535, ("9" * 20 + "=1,") * 2_900]
)
def test_no_text_takes_more_memory_than_a_column_warrants(text: str) -> None:
    tracemalloc.start()
    parse_tres(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * 2**20


def test_licenses_are_by_name_as_far_as_they_are_tres() -> None:
    catalog = {1001: ("gres", "gpu"), 1005: ("license", "matlab"), 1006: ("license", 'x"@db')}
    names = license_names(catalog)
    found = allocation(parse_tres("1=4,1005=2,1006=0,1007=9"), gpu_types(catalog), names)
    assert names == {1005: "matlab", 1006: 'x"@db'}
    assert found.licenses == {"matlab": 2, 'x"@db': 0}
    assert allocation(parse_tres("1=4"), {}, names).licenses == {}


@pytest.mark.parametrize(
    ("gpu_type", "part"),
    [
        ("a100", 1.0), ("", 1.0), ("3g.20gb", 3 / 7), ("a100_3g.20gb", 3 / 7), ("nvidia_a100_1g.5gb", 1 / 7),
        ("h100-mig-1g.10gb+me", 1 / 7), ("7g.80gb", 1.0), ("a30_1g.6gb", 1 / 4), ("A30_2G.12GB", 1 / 2),
        ("4g.24gb", 1.0), ("a100_4g.20gb", 4 / 7), ("83g.20gb", 1.0), ("a3g.20gb", 1.0), ("0g.5gb", 1.0), ("3g", 1.0),
    ],
)  # fmt: skip
def test_a_slice_is_its_part_of_the_board(gpu_type: str, part: float) -> None:
    assert board_part(gpu_type) == pytest.approx(part)


def test_slices_are_counted_apart_from_boards_and_weighed_together() -> None:
    held = Allocation(gpus={"a100": 2, "a100_3g.20gb": 2, "": 1})
    assert held.gpu_count == 5
    assert held.gpu_equivalents == pytest.approx(3 + 6 / 7)


@given(st.text())
def test_no_type_is_more_than_a_board_or_nothing(gpu_type: str) -> None:
    assert 0 < board_part(gpu_type) <= 1


@pytest.mark.parametrize(
    ("gpu_type", "units"),
    [
        ("a100", 4.0), ("a100_3g.20gb", 4.0 * 3 / 7), ("a100-mig-1g.5gb", 4.0 / 7), ("h100_1g.10gb", 2.5),
        ("v100", None), ("v100_1g.5gb", None), ("3g.20gb", None), ("", None),
    ],
)  # fmt: skip
def test_a_gpu_counts_what_its_type_or_its_board_does_and_is_not_guessed(gpu_type: str, units: float | None) -> None:
    assert gpu_units(gpu_type, {"a100": 4.0, "h100": 12.0, "h100_1g.10gb": 2.5}) == (units and pytest.approx(units))


def test_other_types_count_as_the_default() -> None:
    units = {"a100": 4.0, "default": 2.0}
    assert [gpu_units(name, units) for name in ("a100", "v100", "", "v100_1g.5gb")] == [
        4.0,
        2.0,
        2.0,
        pytest.approx(2 / 7),
    ]
