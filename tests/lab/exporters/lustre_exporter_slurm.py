"""lustre_exporter_slurm: what the proxy makes of a page of lustre_exporter, quirks and all."""

import re
from collections.abc import Callable

# uid → name; job id → (user, account): None where the proxy finds nobody.
UserOf = Callable[[int], str | None]
OwnerOf = Callable[[int], tuple[str, str] | None]

_LINE = re.compile(r"(lustre_job\w*)\{(.*)\} (\S+)")
_PROCESS = re.compile(r"(.*)\.(\d+)")


def lustre_exporter_slurm(page: str, owner_of: OwnerOf, user_of: UserOf) -> str:
    """Put fs, user and account on the lines of jobs; the page ends without a newline, as the proxy's does."""
    return "\n".join(_line(line, owner_of, user_of) for line in page.splitlines())


def _line(line: str, owner_of: OwnerOf, user_of: UserOf) -> str:
    match = _LINE.fullmatch(line)
    if match is None:
        return line
    # The proxy splits at commas: what has one in its job id, or an empty one, it leaves alone.
    labels = dict(re.findall(r'(\w+)="([^",]+)"(?:,|$)', match[2]))
    jobid = labels.get("jobid")
    if jobid is None:
        return line
    added = {"fs": labels["target"].partition("-")[0], **_owner(jobid, owner_of, user_of)}
    text = ",".join(f'{name}="{value}"' for name, value in added.items())
    return f"{match[1]}{{{match[2]},{text}}} {match[3]}"


def _owner(jobid: str, owner_of: OwnerOf, user_of: UserOf) -> dict[str, str]:
    if jobid.isdecimal():
        owner = owner_of(int(jobid))
        return dict(zip(("user", "account"), owner, strict=True)) if owner else {}
    process = _PROCESS.match(jobid)
    if process is None:
        return {}
    user = user_of(int(process[2]))
    return {"application": process[1], **({"user": user} if user else {})}
