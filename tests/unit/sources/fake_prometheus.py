"""A Prometheus that answers what the test says, over real HTTP."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from aggregator.sources.prometheus import ExporterSettings, NodeNames, PrometheusClient, PrometheusUse
from aggregator.sources.prometheus.client import Endpoint

KEY = "clusters.narval.prometheus"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def vector(*samples: tuple[dict[str, str], str]) -> dict[str, Any]:
    result = [{"metric": labels, "value": [1.8e9, value]} for labels, value in samples]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


def matrix(*series: tuple[dict[str, str], list[tuple[float, str]]]) -> dict[str, Any]:
    result = [{"metric": labels, "values": values} for labels, values in series]
    return {"status": "success", "data": {"resultType": "matrix", "result": result}}


def sample(value: str, node: str = "node01:9798", job: str = "4711", **labels: str) -> tuple[dict[str, str], str]:
    return {"slurmjobid": job, "instance": node, **labels}, value


class FakePrometheus:
    """Answer by the first metric name that a query contains; an empty vector otherwise."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: dict[str, Any] = {}
        self.queries: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.everything: Callable[[], web.Response] | None = None
        self.hang = False
        self._stop = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.queries.append(form)
        self.headers.append(dict(request.headers))
        if self.hang:
            await self._stop.wait()
        if self.everything is not None:
            return self.everything()
        for part, answer in self.answers.items():
            if part in form["query"]:
                if isinstance(answer, web.Response):
                    return web.Response(status=answer.status, body=answer.body, content_type=answer.content_type)
                return web.Response(text=json.dumps(answer), content_type="application/json")
        return web.json_response(matrix() if request.path.endswith("_range") else vector())

    def release(self) -> None:
        self._stop.set()

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/prom/api/v1/query", self.handle)
        app.router.add_post("/prom/api/v1/query_range", self.handle)
        return app


def make_client(url: str, timeout: float = 5.0, **changes: Any) -> PrometheusClient:
    return PrometheusClient(Endpoint(key=KEY, url=url, timeout=timeout, **changes))


def make_source(client: PrometheusClient, **changes: Any) -> PrometheusUse:
    settings = ExporterSettings(**changes)
    return PrometheusUse(client, {"cluster": "narval"}, {"slurm_job_exporter": settings}, NodeNames())
