"""What software a cluster runs: by the site's patterns, without anybody's name, beside what is measured."""

import re
from typing import Any

import pytest

from aggregator.model.series import Line
from aggregator.model.software import Software
from aggregator.sources.base import FetchError

from .builders import NOW, FakeSeries, make_job, publish_jobs
from .conftest import Service

PATH = "/api/v1/clusters/narval/applications"
LINES = (
    Line({"exe": "/cvmfs/soft/bin/python3.11"}, ((NOW - 300, 6.0), (NOW, 6.0))),
    Line({"exe": '/home/alice"\n/mine'}, ((NOW, 4.0),)),
)


class Programs(FakeSeries):
    """Executables of a cluster, and the ten CPUs that its jobs keep busy."""

    def available(self, subject: str) -> dict[str, Any]:
        cpu = super().available("user")["cpu"]
        return dict.fromkeys(("executables", "gpu_executables"), cpu) if subject == "software" else {"cpu": cpu}

    async def read(self, kind: str, name: str, *rest: Any) -> Any:
        lines = self.lines
        if kind == "cluster":
            self.lines = (Line({}, ((NOW - 300, 10.0), (NOW, 10.0))),)
        try:
            return await super().read(kind, name, *rest)
        finally:
            self.lines = lines


@pytest.fixture
async def programs(idle_service: Service, aiohttp_client: Any) -> Programs:
    publish_jobs(idle_service.store, make_job(101))
    idle_service.lines = Programs(lines=LINES)
    software = (Software("Python", re.compile(r"/python[0-9.]*$")),)
    idle_service.client = await aiohttp_client(idle_service.app(software=software))
    return idle_service.lines


async def test_software_is_named_by_the_sites_patterns_and_adds_up(idle_service: Service, programs: Programs) -> None:
    data = await idle_service.data(PATH)
    assert data["software"] == [
        {"software": "Python", "directory": "/cvmfs", "value": 6.0, "ratio": 0.6},
        {"software": "Unidentified", "directory": "/home", "value": 2.0, "ratio": 0.2},
    ]
    assert (data["measured"], data["unaccounted"], data["unit"]) == (10.0, 2.0, "cpus")
    assert "alice" not in str(data), "a path names its owner"
    assert [name for name, _, _ in programs.read_of] == ["executables", "used_cpus"]


async def test_gpus_are_those_that_slurm_has_given(idle_service: Service, programs: Programs) -> None:
    data = await idle_service.data(f"{PATH}?of=gpus&start=now-1d")
    assert (data["unit"], data["step_seconds"]) == ("gpus", 1800.0)
    assert [name for name, _, _ in programs.read_of] == ["gpu_executables", "allocated_gpus"]
    assert all(span.points <= 73 for _, _, span in programs.read_of)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("of=moons", "of: must be one of cpus, gpus"),
        ("start=now-60d", "start: must be at most 31 days before end"),
        ("start=now&end=now-1h", "start: must be at most 31 days before end, and not after it"),
        ("step=1", "step: unknown parameter"),
    ],
)
async def test_what_is_wrong_is_named(idle_service: Service, programs: Programs, query: str, text: str) -> None:
    status, _, error = await idle_service.failure(f"{PATH}?{query}")
    assert status == 400
    assert text in error


async def test_what_could_not_be_is_said(idle_service: Service, programs: Programs) -> None:
    programs.rejected = {"executables out of range": 2}
    body = await (await idle_service.get(PATH)).json()
    assert body["warnings"] == ["2 values dropped: executables out of range"]


async def test_without_an_exporter_there_are_none_and_prometheus_away_is_an_error(
    idle_service: Service, service: Service, aiohttp_client: Any
) -> None:
    publish_jobs(idle_service.store, make_job(101))
    status, _, error = await service.failure(PATH)
    assert (status, error) == (404, "applications: clusters.narval.exporters.slurm_job_exporter is not configured")
    idle_service.lines = Programs(error=FetchError("clusters.narval.prometheus: timeout"))
    idle_service.client = await aiohttp_client(idle_service.app())
    assert await idle_service.failure(PATH) == (503, "unavailable", "clusters.narval.prometheus: timeout")
