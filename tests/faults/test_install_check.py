"""`check --connect` on a site whose configuration looks right: what would be missing is said, and why."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from aggregator.cli import main
from tests.lab.ports import LOOPBACK, answers, free_port
from tests.lab.process import wait_until
from tests.scenarios.proxy import unavailable
from tests.scenarios.site import Servers, Site


class Done(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


Check = Callable[..., Done]


@pytest.fixture
def check(observed: Site, capsys: pytest.CaptureFixture[str]) -> Check:
    """Run `check --connect` on the site's configuration."""

    def run(*flags: str) -> Done:
        file = observed.root / "check.yml"
        file.write_text(yaml.safe_dump(observed.config, sort_keys=False))
        capsys.readouterr()
        code = main(["check", f"--config.file={file}", "--connect", *flags])
        return Done(code, *capsys.readouterr())

    return run


def lines(text: str, begin: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(begin)]


@pytest.fixture(scope="module")
def one_site(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two nodes with a job each, and the CPUs of node_exporter."""
    with Site(servers, tmp_path_factory.mktemp("site")) as site:
        for number, node in enumerate(("node01", "node02")):
            site.samples.exporter(node)
            site.job(500 + number, nodelist=node)
            site.samples.job(500 + number, node)
            site.samples.host(node, cpus=2)
            for name in ("node_load1", "node_memory_MemAvailable_bytes"):
                site.samples.add(name, 1.0, instance=f"{node}:9100", job="node")
        site.samples.add(
            "cgroup_memory_rss_bytes", 1e9, instance="node01:9306", job="cgroup", jobid="500", step="", task=""
        )
        site.use_exporters("slurm_job_exporter", "node_exporter")
        site.samples.write(site.servers.prometheus.url)
        yield site


@pytest.fixture
def observed(one_site: Site) -> Iterator[Site]:
    """Give the site, whose configuration is as it was after each test."""
    config = deepcopy(one_site.config)
    yield one_site
    one_site.config, one_site.proxy.fault = config, None


def test_a_right_configuration_has_no_warning_and_says_what_there_is(observed: Site, check: Check) -> None:
    done = check()
    assert done.code == 0, done.out + done.err
    key = f"clusters.{observed.cluster}.prometheus"
    there = "slurm_job_exporter 14 series on 2 nodes; node_exporter 14 series on 2 nodes"
    assert f"up   {key}: {there}; cgroup_exporter has series, and is not in use\n" in done.out
    shown = "slurm_job_exporter shows CPUs, memory, peaks of memory"
    lacking = "threads (no series of slurm_job_exporter), GPUs (no series of slurm_job_exporter)"
    assert f"up   {key} (use of jobs): {shown}; not known: {lacking}\n" in done.out
    assert lines(done.out, "warn") == lines(done.out, "down") == []
    assert done.out.splitlines()[-1].endswith("no mistakes, 6 rules of waste are active")
    assert done.err == ""


def test_each_exporter_is_said_to_bring_what_is_taken_of_it(observed: Site, check: Check) -> None:
    observed.use_exporters("cgroup_exporter", "slurm_job_exporter")
    assert "(use of jobs): slurm_job_exporter shows CPUs, memory, peaks of memory; not known: threads" in check().out
    observed.settings["providers"] = {"memory": "cgroup_exporter"}
    assert "; cgroup_exporter shows memory; not known: threads (no series of slurm_job_exporter), GPUs" in check().out
    observed.use_exporters("cgroup_exporter")
    assert "(use of jobs): cgroup_exporter shows memory; not known: CPUs (no series of cgroup_exporter)" in check().out
    assert "peaks of memory (slurm_job_exporter would show them), threads (slurm_job_exporter would" in check().out


def test_matchers_that_match_nothing_are_named_with_what_there_is(observed: Site, check: Check) -> None:
    for label, value, reason in (
        ("cluster", "narwal", 'check matchers: there are series with {cluster="'),
        ("cluster", f"{observed.cluster}|x", f"it is not PromQL (cluster: {observed.cluster}|x); there are series"),
        ("site", "north", "the series there have no label site (external_labels are not on series"),
    ):
        observed.settings["prometheus"]["matchers"] = {label: value}
        done = check()
        assert done.code == 0
        shown = f'no series match {{{label}="{value}"}}'
        assert f".prometheus: slurm_job_exporter: {shown}; node_exporter: {shown}\n" in done.out
        assert "(use of jobs): no exporter shows any job now\n" in done.out
        warned = lines(done.out, "warn")
        assert len(warned) == 2
        assert all(reason in line and "; asked: count by (__name__, instance) ({" in line for line in warned), warned


def test_an_exporter_without_any_series_is_named_and_the_others_are_counted(observed: Site, check: Check) -> None:
    observed.use_exporters("slurm_job_exporter", "redfish_exporter")
    done = check()
    (line,) = lines(done.out, "warn")
    assert f'redfish_exporter: no series match {{cluster="{observed.cluster}"}}: without the matchers there are' in line
    assert "not known without it: the power of nodes from BMCs" in line
    assert "slurm_job_exporter 14 series on 2 nodes; redfish_exporter: no series match" in done.out
    found = json.loads(check("--json").out)
    assert (found["ok"], found["mistakes"]) == (True, [])
    (warning,) = [text for each in found["checks"] for text in each["warnings"]]
    assert line.endswith(warning)


def test_a_metric_that_another_one_is_read_by_is_named_when_it_is_missing(observed: Site, check: Check) -> None:
    """Without slurm_job_memory_usage no use of CPUs is believed, though its own series are there."""
    observed.use_exporters(slurm_job_exporter={"metrics": {"slurm_job_memory_usage": "slurm_job_elsewhere"}})
    done = check()
    (line,) = lines(done.out, "warn")
    assert f'slurm_job_exporter: no series slurm_job_elsewhere{{cluster="{observed.cluster}"}}' in line
    assert "CPUs as well" in line
    assert "slurm_job_exporter 12 series on 2 nodes" in done.out


def test_what_fails_is_there_once_and_nothing_is_called_faultless_above_it(observed: Site, check: Check) -> None:
    observed.settings["slurmacct"]["password"] = "wrong"
    observed.proxy.fault = unavailable
    quota = {"source": "lfs_quota", "path": "/scratch/"}
    observed.config["filesystems"] = {"scratch": {"cluster": observed.cluster, "quota": quota}}
    done = check()
    assert done.code == 1
    names = [line.split(":")[0].removeprefix("down ") for line in lines(done.out, "down")]
    assert names == [f"clusters.{observed.cluster}.slurmacct", f"clusters.{observed.cluster}.prometheus"]
    assert "no mistakes" not in done.out
    assert done.out.splitlines()[-1].endswith("2 of 4 checks failed")
    assert not json.loads(check("--json").out)["ok"]


def test_a_server_that_refuses_is_told_from_a_host_that_is_not_known(observed: Site, check: Check) -> None:
    for url, reason in (
        ("http://no-such-host.invalid:9090", "the host is not known"),
        (f"http://{LOOPBACK}:{observed.service_port}", "the connection was refused"),
    ):
        observed.settings["prometheus"]["url"] = url
        (line,) = lines(check().out, "down")
        assert f".prometheus.url: cannot reach {url}: {reason}" in line


def test_an_address_in_use_is_a_warning_and_one_that_is_not_here_an_error(observed: Site, check: Check) -> None:
    own = f"{LOOPBACK}:{observed.service_port}"
    with socket.create_server((LOOPBACK, observed.service_port)):
        done = check()
    assert done.code == 0
    assert f"warn server.listen_address {own}: in use: another process" in done.out
    observed.config["auth"] = {"anonymous": ["health"]}
    done = check("--web.listen-address=192.0.2.7:9850", f"--web.listen-address={own}")
    assert done.code == 1
    (line,) = lines(done.out, "down")
    assert line.startswith("down server.listen_address: cannot listen on 192.0.2.7:9850")
    assert f"up   server.listen_address {own}: free" in done.out


def test_the_state_is_tried_and_not_made(observed: Site, check: Check) -> None:
    folder, state = observed.root / "not there", observed.config["state"]
    state["url"] = f"sqlite:///{folder}/state.db"
    assert f"up   state.url: {folder}/state.db is not there yet: serve will create it" in check().out
    assert not folder.exists()
    folder.write_text("a file")
    done = check()
    assert done.code == 1
    assert lines(done.out, "down")[0].startswith(f"down state.url: cannot create {folder}/state.db")
    server = f"{LOOPBACK}:{observed.mariadb.port}/nowhere"
    state.update(url=f"mysql://scenario@{server}", password="not it")
    assert lines(check().out, "down")[0].startswith(f"down state.url: mysql://{server}: ")


@contextmanager
def serving(site: Site, *ports: int) -> Iterator[Path]:
    """Serve the site's configuration on some ports; give the log."""
    file, log = site.root / "serve.yml", site.root / f"serve-{ports[0]}.log"
    file.write_text(yaml.safe_dump(site.config))
    flags = [f"--web.listen-address={LOOPBACK}:{port}" for port in ports]
    command = [sys.executable, "-m", "aggregator", "serve", f"--config.file={file}", *flags]
    with log.open("w") as output, subprocess.Popen(command, stderr=output) as process:
        try:
            wait_until(lambda: all(map(answers, ports)), 60, "the addresses to answer")
            yield log
        finally:
            process.terminate()
    assert process.returncode == 0


def test_serve_listens_on_every_address_that_is_given(observed: Site) -> None:
    with serving(observed, free_port(), free_port()):
        pass


def test_serve_says_once_in_its_log_which_series_are_missing(observed: Site) -> None:
    observed.settings["exporters"]["redfish_exporter"] = {}
    observed.proxy.queries.clear()
    with serving(observed, free_port()) as log:
        wait_until(lambda: "series are missing" in log.read_text(), 60, "the warning")
        asked = sum("__name__" in query for query in observed.proxy.queries)
        wait_until(lambda: len(observed.proxy.queries) > 100, 60, "some refreshes")
        assert sum("__name__" in query for query in observed.proxy.queries) == asked
    (line,) = [line for line in log.read_text().splitlines() if "series are missing" in line]
    assert f"cluster={observed.cluster} said=" in line
    assert "redfish_exporter: no series match" in line


def test_serve_says_nothing_of_it_where_all_are_there(observed: Site) -> None:
    observed.proxy.queries.clear()
    with serving(observed, free_port()) as log:
        wait_until(lambda: sum("__name__" in query for query in observed.proxy.queries) >= 2, 60, "the look")
        wait_until(lambda: len(observed.proxy.queries) > 50, 60, "some refreshes")
    assert "series are missing" not in log.read_text()
