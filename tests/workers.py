"""Which tests run one after another in one worker of pytest-xdist, and what the workers begin with."""

from pathlib import PurePath

from xdist.scheduler import LoadScopeScheduling

# Files whose tests share costly servers, by their name or their folder's. Those of one file are together in any case.
_LAB, _SIMULATION, _IMAGE = "the lab", "the simulation", "the image"
TOGETHER = {"lab_tests": _LAB, "simulation": _SIMULATION, "test_image.py": _IMAGE, "test_pod.py": _IMAGE}
# These have a lab of their own.
ALONE = {"test_whole_story.py"}
# What takes longest, so that the workers end together.
_FIRST = (_LAB, _SIMULATION, _IMAGE)


def group(test: str) -> str:
    """Return the group of a test by its node id."""
    file = PurePath(test.partition("::")[0])
    if file.name in ALONE:
        return str(file)
    return TOGETHER.get(file.name) or TOGETHER.get(file.parent.name) or str(file)


def turn(test: str) -> int:
    """Return when a test's group begins: the smaller, the earlier."""
    name = group(test)
    return _FIRST.index(name) if name in _FIRST else len(_FIRST)


class Scheduler(LoadScopeScheduling):
    """Give whole groups to the workers, in the order in which they were collected (--no-loadscope-reorder)."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)
