"""Slurm's states of nodes, in every notation in which they are told.

sinfo prints one word and marks behind it (`idle~`, `DRNG*`), scontrol and the REST API a base state and flags joined by
`+`, exporters of the REST API join them by `|`, `&` or a comma and leave an empty word for what they do not know;
slurmdbd records one number. All of them become the word that sinfo has for it, in lower case, and the flags beside it.
"""

import re
from collections.abc import Collection, Sequence
from typing import Final

# sinfo's marks behind a state; `+` says no more than that something else follows.
_MARKS: Final = {
    "*": "not_responding", "~": "powered_down", "#": "powering_up", "!": "powering_down", "%": "powering_down",
    "$": "maintenance", "@": "reboot_requested", "^": "reboot_issued", "-": "planned",
}  # fmt: skip
_APART: Final = re.compile(r"[|&+,;\s]+")
_PART: Final = re.compile(r"([a-z][a-z_]*?)?_?([*~#!%$@^-]*)")
_LONG: Final = {
    "alloc": "allocated", "block": "blocked", "comp": "completing", "drng": "draining", "err": "error",
    "failg": "failing", "futr": "future", "invalid_reg": "inval", "maint": "maintenance", "mix": "mixed",
    "no_respond": "not_responding", "noresp": "not_responding", "npc": "perfctrs", "plnd": "planned",
    "pow_dn": "powering_down", "pow_up": "powering_up", "powerdown": "powering_down", "resv": "reserved",
    "unk": "unknown",
}  # fmt: skip
_BASE: Final = {1: "down", 2: "idle", 3: "allocated", 4: "error", 5: "mixed", 6: "future"}
_FLAGS: Final = {
    0x200: "drain",
    0x800: "not_responding",
    0x1000: "powered_down",
    0x2000: "fail",
    0x4000: "powering_up",
    0x8000: "maintenance",
    0x10000: "reboot_requested",
    0x40000: "powering_down",
    0x100000: "reboot_issued",
}
_BUSY: Final = frozenset({"allocated", "mixed", "completing"})
_DRAIN: Final = frozenset({"drain", "drained", "draining"})
_FAIL: Final = frozenset({"fail", "failing"})
# Of several words that are left the first is the state; the others stay beside it.
_ORDER: Final = (
    "error", "allocated", "completing", "mixed", "maintenance", "reserved", "planned", "inval", "blocked", "idle",
    "future", "unknown",
)  # fmt: skip
# What says nothing beside another word.
_PLAIN: Final = frozenset({"idle", "allocated", "mixed", "future", "unknown"})


def parse_state(text: str) -> tuple[str, tuple[str, ...]]:
    """Read a state as it is printed, `mixed`, `idle~`, `MIXED+DRAIN` or `idle|powered_down`: sinfo's word, and flags.

    "" for what is no state; words that are none, and empty ones, are left out.
    """
    words: list[str] = []
    flags: list[str] = []
    for part in _APART.split(text.strip().lower()):
        if found := _PART.fullmatch(part):
            word, marks = found.groups()
            words += [_LONG.get(word, word)] if word else []
            flags += [_MARKS[mark] for mark in marks]
    state, beside = in_words(words)
    return (state, tuple(dict.fromkeys((*beside, *flags)))) if state else ("", ())


def numbered_state(number: int) -> tuple[str, ...]:
    """Name the base state and the flags of slurmdbd's number; bits that no release of ours knows are left out."""
    base = _BASE.get(number & 0xF)
    flags = (name for bit, name in _FLAGS.items() if number & bit)
    return (*((base,) if base else ()), *flags)


def in_words(states: Sequence[str], *, busy: bool = False) -> tuple[str, tuple[str, ...]]:
    """Give sinfo's word for a base state and flags, and the flags that it does not say; busy: there are jobs.

    A node that drains is draining with jobs on it and drained without; one that is down is down, whatever else it is.
    """
    known = frozenset(states)
    word = _word(known, busy or bool(known & _BUSY)) or next(iter(states), "")
    said = {word} | _PLAIN
    for of_kind in (_DRAIN, _FAIL):
        said |= of_kind if word in of_kind else frozenset()
    return word, tuple(dict.fromkeys(state for state in states if state not in said))


def _word(known: Collection[str], busy: bool) -> str:
    if "down" in known:
        return "down"
    if not _DRAIN.isdisjoint(known):
        return "draining" if busy or "draining" in known else "drained"
    if not _FAIL.isdisjoint(known):
        return "failing" if busy or "failing" in known else "fail"
    return next((word for word in _ORDER if word in known), "")
