"""The commands for people against the demo: what people read, and that JSON and CSV are the API's."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.scenarios.demo import CLUSTER, Demo

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "data" / "commands"
AT = 1_750_000_000.0
Run = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"), "--jobs=200", at=AT)
    try:
        running.start()
        running.wait_caught_up(AT)
        yield running
    finally:
        running.service.stop()


@pytest.fixture(scope="module")
def names(demo: Demo) -> dict[str, str]:
    """Choose what the commands are about."""

    def first(query: str, name: str = "id") -> str:
        return str(demo.data(f"{CLUSTER}/jobs?{query}&limit=1")["jobs"][0][name])

    return {
        "gpu": first("severity=critical,warning&min_allocated_gpus=2&sort=-wasted_gpus"),
        "cpu": first("reason=cpu_low,cpu_serial&sort=-wasted_cpus"),
        "memory": first("reason=memory_overrequested&sort=-wasted_memory_bytes"),
        "young": first("state=running&max_elapsed_seconds=600"),
        "ended": first("state=completed&min_elapsed_seconds=3600&sort=-wasted_cpu_seconds"),
        "pending": first("state=pending"),
        "user": first("group_by=user&sort=-wasted_cpus", "user"),
        "account": first("group_by=account&sort=-wasted_gpus", "account"),
    }


@pytest.fixture
def environment(demo: Demo, tmp_path: Path) -> dict[str, str]:
    """The variables of a user without settings, by UTC, in a terminal of 80 columns."""
    return {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(tmp_path), "TZ": "UTC",
        "LC_ALL": "C.UTF-8", "COLUMNS": "80", "HPC_AGGREGATOR_URL": demo.service.url,
    }  # fmt: skip


@pytest.fixture
def run(environment: dict[str, str]) -> Run:
    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "aggregator", *arguments]
        return subprocess.run(command, env={**environment, **variables}, capture_output=True, check=False)

    return run


SHOWN = [
    "jobs --sort -wasted_gpu_seconds --limit 12", "jobs --state all --sort -submit_timestamp_seconds --limit 8",
    "jobs --user {user} --fields id,job_name,nodes,memory_peak_bytes,waste --limit 5", "top --limit 8",
    "top --by account --limit 3", "waste --limit 10", "nodes --limit 5", "nodes --state down,drained", "job {gpu}",
    "job {cpu}", "job {memory}", "job {young}", "job {ended}", "job {pending}", "account {account}", "user {user}",
    "quota --user {user}", "digest --user {user}",
]  # fmt: skip
FORMS: Mapping[str, Mapping[str, str]] = {"80": {}, "160": {"COLUMNS": "160"}, "ascii": {"LC_ALL": "C"}}


@pytest.mark.parametrize("form", FORMS)
def test_people_read_what_they_did(run: Run, names: dict[str, str], form: str, update_golden: bool) -> None:
    """In 80 columns, in more, and where the locale is not UTF-8."""
    parts = []
    for command in (each.format_map(names) for each in SHOWN):
        done = run(*command.split(" "), **FORMS[form])
        assert (done.returncode, done.stderr) == (0, b""), command
        parts.append(f"$ hpc-aggregator {command}\n{done.stdout.decode()}")
    text = "\n".join(parts)
    file = GOLDEN / f"{form}.txt"
    if update_golden:
        file.write_text(text)
    assert text.splitlines() == file.read_text().splitlines(), (
        "run pytest tests/scenarios/test_commands.py --update-golden"
    )


def test_what_is_drawn_fits_and_is_of_the_locale(run: Run) -> None:
    texts = {form: (GOLDEN / f"{form}.txt").read_text() for form in FORMS}
    for form, width in (("80", 80), ("160", 160), ("ascii", 80)):
        drawn = [line for line in texts[form].splitlines() if not line.startswith("$ ")]
        assert max(map(len, drawn)) <= width, form
        assert [line for line in drawn if line != line.rstrip()] == []
    assert texts["ascii"].isascii()
    digest = texts["80"].rpartition("$ hpc-aggregator digest")[2].splitlines()[1:]
    assert len(digest) <= 25


LISTS = [
    ("jobs --limit 7", "{c}/jobs?state=running&limit=7", "jobs"),
    ("jobs --state all --limit 1000", "{c}/jobs?limit=1000", "jobs"),
    ("top --by account", "{c}/jobs?state=running&group_by=account&sort=-wasted_gpus,-wasted_cpus,-wasted_memory_bytes"
     "&limit=20", "jobs"),
    ("waste --fields id,waste --limit 1000", "{c}/jobs?state=running&severity=critical,warning&fields=id,waste"
     "&limit=1000&sort=-wasted_gpus,-wasted_cpus,-wasted_memory_bytes", "jobs"),
    ("nodes --filter min_cpus=40", "{c}/nodes?min_cpus=40&limit=50", "nodes"),
    ("account {account}", "{c}/accounts/{account}", None),
    ("user {user}", "{c}/users/{user}", None),
    ("explain {gpu}", "{c}/jobs/{gpu}/explain", None),
]  # fmt: skip


@pytest.mark.parametrize(("command", "path", "name"), LISTS, ids=lambda value: str(value).split("?")[0])
def test_json_is_the_data_of_the_api(
    run: Run, demo: Demo, names: dict[str, str], command: str, path: str, name: str | None
) -> None:
    done = run(*command.format_map(names).split(" "), "--json")
    assert (done.returncode, done.stderr) == (0, b"")
    own = json.loads(done.stdout)
    assert own == demo.data(path.format(c=CLUSTER, **names))
    assert name is None or own[name]


@pytest.mark.parametrize(
    ("command", "path"),
    [("jobs", "{c}/jobs?state=running"), ("jobs --state all --fields id,job_name", "{c}/jobs?fields=id,job_name"),
     ("top", "{c}/jobs?state=running&group_by=user&sort=-wasted_gpus,-wasted_cpus,-wasted_memory_bytes"),
     ("waste --reason cpu_low", "{c}/jobs?reason=cpu_low&state=running&severity=critical,warning"
      "&sort=-wasted_gpus,-wasted_cpus,-wasted_memory_bytes"),
     ("nodes", "{c}/nodes?"), ("account {account}", "{c}/accounts?account={account}"),
     ("user {user}", "{c}/users?user={user}"),
     ("quota --user {user} --filesystem home --of users", "/api/v1/storage/home/users?user={user}&limit=1000"
      "&sort=-quota_used_ratio_bytes")],
)  # fmt: skip
def test_csv_is_the_csv_of_the_api(run: Run, demo: Demo, names: dict[str, str], command: str, path: str) -> None:
    done = run(*command.format_map(names).split(" "), "--csv")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == demo.service.get(f"{path.format(c=CLUSTER, **names)}&format=csv")[1]
    assert done.stdout.count(b"\n") > 1


@pytest.mark.parametrize(
    ("command", "path", "least"),
    [("quota --user {user}", "/storage/home/users", 6), ("digest --user {user}", "/users/{user}", 6),
     ("job {gpu}", "/jobs/{gpu}/advice", 2)],
)  # fmt: skip
def test_json_of_several_answers_has_each_by_its_path(
    run: Run, demo: Demo, names: dict[str, str], command: str, path: str, least: int
) -> None:
    found = json.loads(run(*command.format_map(names).split(" "), "--json").stdout)
    assert len(found) >= least
    assert any(path.format_map(names) in each for each in found)
    for each, data in found.items():
        if "/history" not in each:
            assert data == demo.data(each), each


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [("job 1", 1, 'job 1: not known on cluster "demo"\n'),
     ("user nobody", 1, 'user "nobody": not known on cluster "demo"\n'),
     ("jobs --cluster narwal", 1, 'cluster "narwal": not configured; this service has: demo\n'),
     ("job abc", 2, "job id: must be like 123, 123_4 or 123+1, got 'abc'\n"),
     ("jobs --filter usr=x", 2, "usr: no such parameter, did you mean user?\n"),
     ("jobs --filter usr", 2, "--filter: must be KEY=VALUE, got 'usr'\n"),
     ("jobs --sort -wasted_gpu", 2, 'sort: no field "wasted_gpu", did you mean wasted_gpus?\n'),
     ("jobs --csv --limit 3", 2, "--limit: not with --csv, which is the whole list\n"),
     ("quota --csv", 2, "--csv: needs --filesystem and --of, for it writes one list\n"),
     ("jobs --url http://127.0.0.1:1", 3, "http://127.0.0.1:1 does not answer: [Errno 111] Connection refused\n"),
     ("digest --url http://127.0.0.1:1", 3, "http://127.0.0.1:1 does not answer: [Errno 111] Connection refused\n"),
     ("digest --url http://127.0.0.1:1 --quiet-if-down", 0, "")],
)  # fmt: skip
def test_each_exit_code(run: Run, command: str, code: int, said: str) -> None:
    done = run(*command.split(" "))
    assert (done.returncode, done.stdout, done.stderr.decode()) == (code, b"", said)


def on_terminal(environment: dict[str, str], *arguments: str, until: bytes) -> bytes:
    """Run a command on a terminal of its own, and press Ctrl-C when it has shown something; it ends with 0."""
    child, above = pty.fork()
    if not child:
        os.execve(sys.executable, [sys.executable, "-m", "aggregator", *arguments], environment)
    shown = b""
    try:
        while piece := os.read(above, 4096):
            shown += piece
            if until and until in shown:
                os.write(above, b"\x03")
                until = b""
    except OSError:
        # The other end is closed.
        pass
    os.close(above)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return shown


COLOURS = re.compile(rb"\x1b\[[0-9;]*m")


def test_colours_are_for_terminals_and_not_with_no_color(
    environment: dict[str, str], run: Run, names: dict[str, str]
) -> None:
    assert b"\x1b" not in run("job", names["gpu"]).stdout
    coloured = on_terminal({**environment, "TERM": "xterm"}, "job", names["gpu"], until=b"")
    assert COLOURS.findall(coloured)
    plain = on_terminal({**environment, "TERM": "xterm", "NO_COLOR": "1"}, "job", names["gpu"], until=b"")
    assert b"\x1b" not in plain
    assert COLOURS.sub(b"", coloured) == plain


def test_watching_draws_in_place_until_ctrl_c(environment: dict[str, str]) -> None:
    shown = on_terminal({**environment, "TERM": "xterm"}, "top", "--watch", "1", "--limit", "2", until=b"\x1b[J")
    assert shown.startswith(b"\x1b[H")
    assert b"--limit N shows more" in shown


def test_whoever_reads_enough_ends_it_without_a_word(environment: dict[str, str]) -> None:
    for form in ("--csv", "--json", "--limit=1000"):
        command = f"set -o pipefail; {sys.executable} -m aggregator jobs --state all {form} | head -n 1"
        done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, check=True)
        assert (done.stdout.count(b"\n"), done.stderr) == (1, b"")
