import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.hostlist import MAX_HOSTS, MAX_NAME, HostlistError, expand_hostlist
from tests.hostlists import Written, compress, host_lists


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("login1", ["login1"]),
        ("a,b", ["a", "b"]),
        ("a b\tc\nd", ["a", "b", "c", "d"]),
        ("a, b,", ["a", "b"]),
        ("cn[1-3]", ["cn1", "cn2", "cn3"]),
        ("cn[08-11]", ["cn08", "cn09", "cn10", "cn11"]),
        ("cn[8-11]", ["cn8", "cn9", "cn10", "cn11"]),
        ("node[1-2,010-012]", ["node1", "node2", "node010", "node011", "node012"]),
        ("n[1,3,5],m2", ["n1", "n3", "n5", "m2"]),
        ("rack[1-2]n[01-02]", ["rack1n01", "rack1n02", "rack2n01", "rack2n02"]),
        ("rack1node[01-02],rack2node[01-02]", ["rack1node01", "rack1node02", "rack2node01", "rack2node02"]),
        ("cn[1-2]-ib", ["cn1-ib", "cn2-ib"]),
        ("n[007]", ["n007"]),
        ("[1-2]", ["1", "2"]),
        ("n[99-101]", ["n99", "n100", "n101"]),
        ("n[0-0]", ["n0"]),
        ("n[1,1]", ["n1", "n1"]),
        ("a[1-2][3-4]", ["a13", "a14", "a23", "a24"]),
        ("r[1-2]c[0,2]n[8-9]", [f"r{r}c{c}n{n}" for r in (1, 2) for c in (0, 2) for n in (8, 9)]),
        ("bgl[000x011]", ["bgl000", "bgl001", "bgl010", "bgl011"]),
        ("bgl[000x133]", [f"bgl{x}{y}{z}" for x in range(2) for y in range(4) for z in range(4)]),
        ("bgl[08xAA]", [f"bgl{x}{y}" for x in "0123456789A" for y in "89A"]),
        ("bgl[000x001,4A0,ZZZ]", ["bgl000", "bgl001", "bgl4A0", "bglZZZ"]),
        ("r[1-2]t[00x01]", ["r1t00", "r1t01", "r2t00", "r2t01"]),
    ],
)
def test_every_form_of_the_grammar_expands_in_its_own_order(text: str, hosts: list[str]) -> None:
    assert list(expand_hostlist(text)) == hosts


@pytest.mark.parametrize("text", ["", "  ", "(null)", "None assigned", " None assigned\n"])
def test_an_unassigned_list_is_empty(text: str) -> None:
    assert expand_hostlist(text) == ()


@pytest.mark.parametrize(
    "text",
    ["n[1-2", "n1-2]", "n[[1-2]]", "n[]", "n[,]", "n[1,]", "n[a-b]", "n[3-1]", "n[1-2-3]", "n[-1]", "n[1 - 2]",
     "n[0x1]", "n[1;2]", "n[A]", "n[a0]", "n[000x0]", "n[000x01]", "n[010x001]", "n[000x]", "n[x11]", "n[0A-0B]",
     "n[000000xZZZZZZ]", "n[00x11x22]", "n[1, 3]"],
)  # fmt: skip
def test_a_malformed_list_is_refused(text: str) -> None:
    with pytest.raises(HostlistError):
        expand_hostlist(text)


def test_a_list_at_the_cap_expands() -> None:
    assert len(expand_hostlist(f"n[1-{MAX_HOSTS}]")) == MAX_HOSTS


@pytest.mark.parametrize(
    "text",
    [f"n[1-{MAX_HOSTS + 1}]", f"n[1-{MAX_HOSTS}],m1", "n[0-999999999999]", "a[1-999]b[1-999]c[1-999]d[1-999]",
     f"n[1-{MAX_HOSTS},5]", "n[0000x9999,ZZZZ,0000xZZZZ]", "n[" + "1," * 2**18 + "1]", "n[1-2]" * 17],
)  # fmt: skip
def test_a_list_over_the_cap_is_refused_without_being_expanded(text: str) -> None:
    with pytest.raises(HostlistError):
        expand_hostlist(text)


@pytest.mark.parametrize("text", [f"n[1-{'9' * 5000}]", f"n[{'1' * 5000}]", f"n[{'9' * 5000}-{'9' * 5000}]"])
def test_numbers_beyond_what_python_converts_are_a_hostlist_error(text: str) -> None:
    """int() refuses more than 4300 digits with a ValueError of its own; the nodelist column holds 64 KiB."""
    with pytest.raises(HostlistError):
        expand_hostlist(text)


def test_a_name_may_be_as_long_as_slurmdbd_keeps_it() -> None:
    (name,) = expand_hostlist("n" * (MAX_NAME - 1) + "[1]")
    assert len(name) == MAX_NAME


@pytest.mark.parametrize("text", ["n" * (MAX_NAME + 1), "n" * MAX_NAME + "[1]", "n" * (MAX_NAME - 2) + "[1,100]",
                                  "n[1]" * MAX_NAME, f"[{'0' * 18}]" * 15])  # fmt: skip
def test_a_longer_name_is_refused(text: str) -> None:
    with pytest.raises(HostlistError, match=f"more than {MAX_NAME} characters"):
        expand_hostlist(text)


@pytest.mark.parametrize(
    "text",
    [
        "[1-65536]" * 7000,
        "[1-2]" * 16 + "n" * 60_000,
        "[00000xZZZZZ]" * 5000,
        "[1-9]" * 13_000,
        "[" * 65_535,
        "[1" * 32_000,
        "]" * 65_535,
        "n[" + "0-65535," * 8_000 + "1]",
        "," * 65_535,
        ("n" * 250 + "[1-300],") * 250,
    ],
    ids=["products", "long names", "boxes", "many brackets", "open", "nested", "close", "sums", "commas", "all"],
)
def test_no_list_takes_more_memory_than_the_limits_allow(text: str) -> None:
    """The column holds 64 KiB, which could stand for any number of hosts."""
    tracemalloc.start()
    try:
        expand_hostlist(text)
    except HostlistError:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 32 * 2**20


@given(st.text(alphabet=st.sampled_from("n1230-,[] \t\n²٣xAZ\x00é"), max_size=40) | st.text(max_size=60))
def test_a_hostile_string_raises_nothing_but_a_hostlist_error(text: str) -> None:
    try:
        hosts = expand_hostlist(text)
    except HostlistError:
        return
    assert len(hosts) <= MAX_HOSTS
    assert all(hosts)


@given(host_lists(ours_only=True))
def test_a_written_list_expands_to_the_names_that_it_was_written_for(written: Written) -> None:
    text, names = written
    assert expand_hostlist(text) == names


@given(
    st.lists(
        st.tuples(
            st.from_regex(r"[a-z]{1,5}[a-z-]{0,3}", fullmatch=True),
            st.integers(1, 5),
            st.sets(st.integers(0, 300), min_size=1, max_size=40),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_expanding_a_compressed_list_gives_back_the_names(groups: list[tuple[str, int, set[int]]]) -> None:
    names = [f"{prefix}{number:0{width}d}" for prefix, width, numbers in groups for number in sorted(numbers)]
    text = ",".join(compress(prefix, width, sorted(numbers)) for prefix, width, numbers in groups)
    assert list(expand_hostlist(text)) == names
