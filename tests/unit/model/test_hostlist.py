import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.hostlist import MAX_HOSTS, HostlistError, expand_hostlist


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
     "[000x133]", "n[0x1]", "n[1;2]"],
)  # fmt: skip
def test_a_malformed_list_is_refused(text: str) -> None:
    with pytest.raises(HostlistError):
        expand_hostlist(text)


def test_a_list_at_the_cap_expands() -> None:
    assert len(expand_hostlist(f"n[1-{MAX_HOSTS}]")) == MAX_HOSTS


@pytest.mark.parametrize(
    "text",
    [f"n[1-{MAX_HOSTS + 1}]", f"n[1-{MAX_HOSTS}],m1", "n[0-999999999999]", "a[1-999]b[1-999]c[1-999]d[1-999]",
     f"n[1-{MAX_HOSTS},5]"],
)  # fmt: skip
def test_a_list_over_the_cap_is_refused_without_being_expanded(text: str) -> None:
    with pytest.raises(HostlistError):
        expand_hostlist(text)


@pytest.mark.parametrize("text", [f"n[1-{'9' * 5000}]", f"n[{'1' * 5000}]", f"n[{'9' * 5000}-{'9' * 5000}]"])
def test_numbers_beyond_what_python_converts_are_a_hostlist_error(text: str) -> None:
    """int() refuses more than 4300 digits with a ValueError of its own; the nodelist column holds 64 KiB."""
    with pytest.raises(HostlistError):
        expand_hostlist(text)


@given(st.text(alphabet=st.sampled_from("n1230-,[] \t\n²٣x\x00é"), max_size=40) | st.text(max_size=60))
def test_a_hostile_string_raises_nothing_but_a_hostlist_error(text: str) -> None:
    try:
        hosts = expand_hostlist(text)
    except HostlistError:
        return
    assert len(hosts) <= MAX_HOSTS
    assert all(hosts)


def compress(prefix: str, width: int, numbers: list[int]) -> str:
    """Write numbers of one width as Slurm does: runs of neighbours become ranges."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][-1] + 1 == number:
            ranges[-1].append(number)
        else:
            ranges.append([number])
    written = (f"{run[0]:0{width}d}" if len(run) == 1 else f"{run[0]:0{width}d}-{run[-1]:0{width}d}" for run in ranges)
    return f"{prefix}[{','.join(written)}]"


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
