"""docs/commands.md, written from the parser and from what the commands draw of the demo."""

import argparse
import re
import textwrap
from collections.abc import Iterator

from aggregator.app.completion import parsers
from aggregator.cli import _parser
from aggregator.client.commands import HELPS
from aggregator.client.settings import SETTINGS
from tests.contract.named_tests import ROOT

_HEAD = """# Commands for people

This page is generated from the command line (`pytest tests/contract --update-golden` writes it anew; a test compares
them). It is for users on a login node, and for administrators. The commands ask a running service over HTTP, and show
what its [API](api.md) shows you.

## Set it up

Each setting comes from its flag, else from its variable, else from `~/.config/hpc-aggregator/client.toml` (below
`XDG_CONFIG_HOME` if set):

```toml
url = "https://hpc.example.org:9850"
cluster = "narval"
ca_file = "/etc/pki/hpc.pem"
```

- **Token**: in the file `token` beside it, in `token_file`, or in `HPC_AGGREGATOR_TOKEN`. A file that others can read
  is refused.
- **Cluster**: if none is set, the only one that the service has, else `SLURM_CLUSTER_NAME`.
- **Proxy**: `https_proxy`, `http_proxy` and `no_proxy`, but never for this host. Redirections are not followed.
- **Completion**: `source <(hpc-aggregator completion bash)`

For all users, set `HPC_AGGREGATOR_URL` in `/etc/profile.d`, and call the digest there:

```sh
hpc-aggregator digest --quiet-if-down
```

## Read it

`–` is not known, and never 0. `!` after a rule's name is critical. A wider terminal has more columns. Colours are for
terminals, unless `NO_COLOR` is set; other locales than UTF-8 get ASCII. `--json` of one answer is the API's `data`; of
several, each by its path. Filters and fields are those of the [API's lists](api.md#lists).

Lines to change are the advice of the API (`…/jobs/{job_id}/advice`): they come from this run and earlier runs of the
same user, job name, and script if scripts are known. They say how many runs, and what these used. A fifth is added to
memory, a quarter to time.

## Exit codes
"""


def commands_page() -> str:
    """Write the page."""
    return "\n".join([_HEAD, *_exits(), *_every_command(), *_of_all()])


def _found() -> dict[str, argparse.ArgumentParser]:
    return {path[0]: each for path, each in parsers(_parser()) if len(path) == 1 and path[0] in HELPS}


def _exits() -> Iterator[str]:
    text = _found()["jobs"].epilog or ""
    yield "| code | meaning |"
    yield "|---|---|"
    for code, meaning in re.findall(r"^  (\d)  (.*)$", text, re.MULTILINE):
        yield f"| {code} | {meaning} |"


def _every_command() -> Iterator[str]:
    for name, parser in _found().items():
        about = HELPS[name]
        said = textwrap.fill(f"{about.text[0].upper()}{about.text[1:]}. {about.about}", 120)
        yield f"\n## {name}\n\n{said}\n"
        yield f"```console\n{_drawn(name) or f'$ {about.example}'}\n```\n"
        yield "| argument | meaning |"
        yield "|---|---|"
        yield from (row(each) for each in parser._actions if each.dest not in {*SETTINGS, "help", "json", "watch"})


def _drawn(name: str) -> str:
    """Give the command's first call on the demo, and what it draws."""
    text = (ROOT / "tests" / "data" / "commands" / "80.txt").read_text()
    found = re.search(rf"^\$ hpc-aggregator {name}\b.*\n(?:(?!\$ ).*\n?)*", text, re.MULTILINE)
    return found[0].rstrip() if found else ""


def _of_all() -> Iterator[str]:
    yield "\n## Flags of every command\n\n| argument | meaning |\n|---|---|"
    parser = _found()["jobs"]
    yield from (row(each) for each in parser._actions if each.dest in {*SETTINGS, "json", "watch"})
    yield "\nThe time limit of `digest` is 2 s.\n"


def row(action: argparse.Action) -> str:
    """Write what an argument means as a row of a table."""
    meant = "|".join(map(str, action.choices or ())) or action.metavar or action.dest.upper()
    value = "" if action.nargs == 0 else f"[{meant}]" if action.nargs == "?" else str(meant)
    name = " ".join(filter(None, ("".join(action.option_strings[-1:]), value))).replace("|", "\\|")
    return f"| `{name}` | {(action.help or '') % {'default': action.default}} |"
