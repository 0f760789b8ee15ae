"""Do with a rendered Deployment what the kubelet does: lay out its volumes, run its container, ask its probes."""

import os
import signal
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.deploy.chart import Manifests
from tests.deploy.image import Image
from tests.lab.ports import LOOPBACK

Secrets = Mapping[str, Mapping[str, bytes]]


class Answer(NamedTuple):
    """What came back, whatever its status."""

    status: int
    text: str


def get(url: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Ask as the kubelet does: the certificate is not checked. 0 when nobody answers."""
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls))
    try:
        with opener.open(urllib.request.Request(url, headers=dict(headers or {})), timeout=20) as answer:
            return Answer(answer.status, answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read().decode())
    except OSError:
        return Answer(0, "")


class Pod:
    """The pod of the chart's Deployment, on a port of this machine."""

    def __init__(self, image: Image, manifests: Manifests, secrets: Secrets, folder: Path, port: int) -> None:
        self._image = image
        self._manifests = manifests
        self._secrets = secrets
        self._folder = folder
        self._port = port
        self._spec = manifests["Deployment"]["spec"]["template"]["spec"]
        (self._container,) = self._spec["containers"]

    @property
    def folder_of_state(self) -> Path:
        return self._folder / "state"

    def command(self) -> list[str]:
        """Lay out the volumes, and give the command line that runs the container."""
        for volume in self._spec["volumes"]:
            self._lay_out(volume)
        mounts = [self._mount(mount) for mount in self._container["volumeMounts"]]
        arguments = [argument.replace(":9850", f":{self._port}") for argument in self._container["args"]]
        return self._image.command(*self._image.config["Entrypoint"], *arguments, volumes=mounts)

    def probe(self, name: str) -> int:
        """Give the status that a probe sees."""
        asked = self._container[name]["httpGet"]
        assert asked["port"] == self._container["ports"][0]["name"]
        return get(f"{asked['scheme'].lower()}://{LOOPBACK}:{self._port}{asked['path']}").status

    def run_helm_test(self) -> str:
        """Run the chart's test pod against this one; give what it prints, or fail."""
        *command, url = self._manifests["Pod"]["spec"]["containers"][0]["command"]
        service = self._manifests["Service"]
        address = f"{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
        assert address in url
        result = self._image.run(*command, url.replace(address, f"{LOOPBACK}:{self._port}"))
        assert result.returncode == 0, result.stderr
        return result.stdout

    def terminate(self, session: int) -> None:
        """Send SIGTERM to the service itself, as the kubelet does; buildah would not pass it on."""
        (process,) = _services(session)
        os.kill(process, signal.SIGTERM)

    def _lay_out(self, volume: Mapping[str, Any]) -> None:
        folder = self._folder / volume["name"]
        group = self._spec["securityContext"]["fsGroup"]
        folder.mkdir()
        os.chown(folder, 0, group)
        folder.chmod(0o2775)
        for name, content, mode in self._files(volume):
            (folder / name).write_bytes(content)
            os.chown(folder / name, 0, group)
            (folder / name).chmod(mode)

    def _files(self, volume: Mapping[str, Any]) -> Iterator[tuple[str, bytes, int]]:
        if "configMap" in volume:
            assert volume["configMap"]["name"] == self._manifests["ConfigMap"]["metadata"]["name"]
            for name, text in self._manifests["ConfigMap"]["data"].items():
                yield name, text.encode(), 0o644
        if "secret" in volume:
            secret = volume["secret"]
            content = self._secrets[secret["secretName"]]
            for item in secret.get("items", [{"key": key, "path": key} for key in content]):
                yield item["path"], content[item["key"]], secret["defaultMode"]

    def _mount(self, mount: Mapping[str, Any]) -> str:
        access = "ro" if mount.get("readOnly") else "rw"
        return f"{self._folder / mount['name']}:{mount['mountPath']}:{access}"


def _services(session: int) -> list[int]:
    """Find the processes of a session that are not buildah's."""
    return [
        int(folder.name)
        for folder in Path("/proc").glob("[0-9]*")
        if _session_of(int(folder.name)) == session and b"/opt/venv/bin/python" in _first_argument(folder)
    ]


def _session_of(process: int) -> int:
    try:
        return os.getsid(process)
    except ProcessLookupError:
        return 0


def _first_argument(folder: Path) -> bytes:
    try:
        return (folder / "cmdline").read_bytes().split(b"\0")[0]
    except OSError:  # it has ended
        return b""
