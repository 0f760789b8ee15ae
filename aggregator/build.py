"""What was built: version, revision, and what runs it."""

import platform
from functools import cache
from importlib.resources import files

import aggregator

UNKNOWN = "unknown"


@cache
def revision() -> str:
    """Give the commit that the wheel or the image was built of; a check-out does not know it."""
    try:
        return (files(aggregator) / "REVISION").read_text(encoding="utf-8").strip() or UNKNOWN
    except OSError:
        return UNKNOWN


def python_version() -> str:
    """Give the version of Python that runs this."""
    return platform.python_version()


def version_text(command: str, version: str = aggregator.__version__) -> str:
    """Write what `--version` prints, as the commands of Prometheus do."""
    return (
        f"{command}, version {version} (revision: {revision()})\n"
        f"  python version:   {python_version()} ({platform.python_implementation()})\n"
        f"  platform:         {platform.system().lower()}/{platform.machine()}"
    )
