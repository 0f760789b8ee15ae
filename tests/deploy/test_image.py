"""The image, built from the Containerfile and run as its user."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

import aggregator
import jobscript_ingest
from tests.deploy.chart import ROOT
from tests.deploy.image import REQUIREMENTS, Image
from tests.deploy.pod import get
from tests.lab.packages import SEARCH_PATH
from tests.lab.ports import LOOPBACK, answers, free_port
from tests.lab.process import Daemon, wait_until

USER = 10001
VERSIONS = {"hpc-aggregator": aggregator.__version__, "hpc-jobscript-ingest": jobscript_ingest.__version__}


def _python(image: Image, script: str) -> object:
    """Run a script in the image, and read what it prints."""
    result = image.run("python", "-c", f"import json, os, sys\n{script}")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_it_has_every_command_of_the_project() -> None:
    assert set(VERSIONS) == set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"])


@pytest.mark.parametrize("command", VERSIONS)
def test_both_commands_say_their_version(image: Image, command: str) -> None:
    result = image.run(command, "--version")
    assert result.returncode == 0, result.stderr
    assert re.match(rf"{command}(, version)? {re.escape(VERSIONS[command])}\b", result.stdout)


def test_without_arguments_it_says_what_it_can_do(image: Image) -> None:
    result = image.run(*image.config["Entrypoint"], *image.config["Cmd"])
    assert result.returncode == 0
    assert re.findall(r"^    (\w+) ", result.stdout, re.MULTILINE) >= ["serve", "check", "demo"]


def test_it_does_not_run_as_root(image: Image) -> None:
    found = _python(image, "print(json.dumps([os.getuid(), os.getgid(), os.getgroups()]))")
    assert found == [USER, USER, [USER]]
    assert image.config["User"] == f"{USER}:{USER}"


def test_its_user_can_write_nothing_but_temporary_files(image: Image) -> None:
    """A read-only root file system takes nothing from it, then; all three are folders of the base."""
    script = """
found = []
for folder, folders, files in os.walk("/"):
    if folder == "/":
        folders[:] = [name for name in folders if name not in ("dev", "proc", "sys", "printed")]
    paths = [folder, *(os.path.join(folder, name) for name in files)]
    found += [path for path in paths if os.access(path, os.W_OK) and not os.path.islink(path)]
print(json.dumps(sorted(found)))
"""
    assert _python(image, script) == ["/run/lock", "/tmp", "/var/tmp"]


def test_it_has_what_is_pinned_and_no_installer(image: Image) -> None:
    pinned = re.findall(r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==(\S+) ", REQUIREMENTS.read_text(), re.MULTILINE)
    script = """
from importlib.metadata import distributions
found = distributions(path=[path for path in sys.path if path.startswith("/opt/venv/")])
print(json.dumps(sorted([one.name.lower().replace("_", "-"), one.version] for one in found)))
"""
    assert _python(image, script) == sorted(map(list, pinned))
    assert pinned


def test_it_has_neither_build_tools_nor_what_they_leave_behind(image: Image) -> None:
    script = """
import shutil
from pathlib import Path
tools = [tool for tool in ("cc", "gcc", "g++", "make", "ld", "git", "pip", "pip3") if shutil.which(tool)]
left = [str(path) for path in map(Path, ("/build", "/wheels", "/etc/pip.conf")) if path.exists()]
left += [str(path) for path in Path("/opt/venv").rglob("*") if path.name in ("direct_url.json", ".cache", "pip")]
print(json.dumps(tools + left))
"""
    assert _python(image, script) == []


def test_it_is_compiled_and_its_code_is_that_of_the_repository(image: Image) -> None:
    script = """
from pathlib import Path
import aggregator
root = Path(aggregator.__file__).parent
sources = [path for path in root.rglob("*.py")]
missing = [str(path) for path in sources if not list(path.parent.glob(f"__pycache__/{path.stem}.*.pyc"))]
print(json.dumps([len(sources), missing]))
"""
    sources = len(list(Path(aggregator.__file__).parent.rglob("*.py")))
    assert _python(image, script) == [sources, []]


def test_it_adds_little_to_its_base(image: Image) -> None:
    script = """
from pathlib import Path
(site,) = Path("/opt/venv").glob("lib/python*/site-packages")
files = [path for name in ("polars", "_polars_runtime_32") for path in (site / name).rglob("*") if path.is_file()]
print(json.dumps(sum(path.stat().st_size for path in files)))
"""
    # Two thirds of the image; that is known, and everything else is as small as it was.
    polars = _python(image, script)
    assert 20e6 < image.added_bytes - polars < 120e6


def test_its_pages_speak_their_languages(image: Image) -> None:
    script = """
from aggregator.pages.language import LANGUAGES, language
from aggregator.pages.numbers import Numbers
print(json.dumps({code: Numbers(language(code)).percent(0.125) for code in sorted(LANGUAGES)}))
"""
    assert _python(image, script) == {"en": "12%", "fr": "12\u00a0%"}


def test_it_checks_a_configuration(image: Image, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    file = tmp_path / "hpc-aggregator.yml"
    check = [*image.config["Entrypoint"], "check", "--config.file=/site/hpc-aggregator.yml"]
    file.write_text("clusters: {narval: {slurmacct: {host: db1, user: a, prot: 1}}}\n")
    result = image.run(*check, volumes=[f"{tmp_path}:/site:ro"])
    assert result.returncode != 0
    assert "clusters.narval.slurmacct.prot" in result.stderr
    file.write_text(
        "server: {listen_address: '127.0.0.1:9850'}\n"
        "filesystems: {project: {robinhood: {host: db3, user: a, database: rbh}}}\n"
    )
    result = image.run(*check, volumes=[f"{tmp_path}:/site:ro"])
    said = "/site/hpc-aggregator.yml: no mistakes, 6 rules of waste are active\n"
    assert (result.returncode, result.stdout) == (0, said), result.stderr


def test_the_demo_answers(image: Image, tmp_path: Path) -> None:
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    command = image.command(*image.config["Entrypoint"], "demo", f"--web.listen-address={LOOPBACK}:{port}")
    demo = Daemon("demo", command, log=tmp_path / "log", env={"PATH": SEARCH_PATH}, ready=lambda: answers(port))
    demo.start()
    try:
        wait_until(lambda: get(f"{url}/-/ready").status == 200, 60, "the demo to be ready")
        page = get(f"{url}/metrics").text
        families = {family.name: family for family in text_string_to_metric_families(page)}
        assert len(families["hpc_job_used_cpus"].samples) > 10
    finally:
        demo.stop()
