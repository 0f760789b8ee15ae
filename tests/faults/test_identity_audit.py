"""The audit lines: who was shown what of others, who changed something, and who was refused."""

import json
import urllib.request
from base64 import b64encode
from hashlib import sha256
from typing import Any

from tests.faults.identities import configure
from tests.scenarios.samples import AHEAD
from tests.scenarios.site import Site


def audited(site: Site) -> list[str]:
    """Give the messages of the audit log."""
    lines = [json.loads(line) for line in site.service.daemon.log.read_text().splitlines() if line.startswith("{")]
    return [line["msg"] for line in lines if line["logger"] == "aggregator.audit"]


def data(site: Site, path: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """Give the data of an answer, nothing of an error."""
    found: dict[str, Any] = json.loads(site.service.get(path, headers)[1]).get("data", {})
    return found


def add_use(site: Site, user: str, job_id: int, uid: int, assoc: int) -> None:
    site.job(job_id, id_user=uid, id_assoc=assoc)
    labels = {"instance": "node01:9798", "job": "slurm_job", "slurmjobid": str(job_id), "user": user,
              "account": "phys"}  # fmt: skip
    site.samples.add(
        "slurm_job_core_usage_total", lambda at: 1e9 * (at + 500), core="0", since=-500.0, until=AHEAD, **labels
    )
    for kind in ("usage", "rss", "max"):
        site.samples.add(f"slurm_job_memory_{kind}", lambda _: 1e9, since=-500.0, until=AHEAD, **labels)


def post(site: Site, path: str, body: bytes, headers: dict[str, str]) -> int:
    request = urllib.request.Request(site.service.url + path, body, headers)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
        return int(answer.status)


def test_reads_of_others_changes_and_refusals_are_one_line_each(site: Site) -> None:
    site.config["log"] = {"level": "error", "format": "json"}
    known = configure(site)
    for user, job_id, uid, assoc in (("ann", 100, 1000, 10), ("ben", 101, 1001, 11)):
        add_use(site, user, job_id, uid, assoc)
    times = {"creation_time": 1, "mod_time": 1, "deleted": 0}
    site.insert("acct_coord_table", [{**times, "acct": "phys", "user": "cora"}])
    cluster = f"/api/v1/clusters/{site.cluster}"
    service = site.start()
    account = f"{cluster}/accounts/phys"
    site.wait(lambda: data(site, account).get("coordinators") == ["cora"], "the coordinator")
    assert audited(site)[-1].endswith(f"path='{account}' whose=['ann', 'ben', 'cora']")

    # The lines of an account's graph are those of its users; who sees the sum of them only, sees nobody's.
    graph = f"{account}/series?metric=used_memory&start=now-5m"
    site.wait(lambda: len(data(site, graph).get("result", ())) == 2, "the lines of both")
    assert audited(site)[-1].endswith(f"path='{account}/series' whose=['ann', 'ben']")
    before = audited(site)
    assert len(data(site, graph, known["a user"])["result"]) == 1
    assert audited(site) == before

    before = audited(site)
    content = b"#!/bin/sh\n"
    script = {"job_id": 100, "written_at": 1.0, "content_base64": b64encode(content).decode(),
              "sha256": sha256(content).hexdigest(), "size": len(content)}  # fmt: skip
    body = json.dumps({"scripts": [script, {**script, "sha256": "0" * 64}]}).encode()
    agent = {**known["the agent"], "Content-Type": "application/json"}
    assert post(site, f"{cluster}/jobscripts", body, agent) == 200
    assert service.get("/-/reload", method="POST")[0] == 200
    assert service.get("/api/v1/%E2%80%AE%C2%9B2J", {"Authorization": "Bearer hpca_wrong"})[0] == 401
    assert service.get("/api/v1/status", known["a user"])[0] == 403
    assert service.get("/api/v1/status", {"Authorization": ""})[0] == 401, "no credentials, no line"
    delivered, reloaded, wrong, lacking = audited(site)[len(before) :]
    assert delivered.startswith("change: who='token ")
    assert delivered.endswith("what='scripts of jobs [100]' outcome='stored, 1 more rejected'")
    assert reloaded.endswith("path='/-/reload' what='configuration' outcome='reloaded'")
    assert wrong.startswith(
        r"refused: who='unknown' from='127.0.0.1' method=GET path='/api/v1/\u202e\x9b2J' why='not a"
    )
    assert lacking.startswith("refused: who='token ")
    assert lacking.endswith("why='this token lacks the scope read:all'")
    service.daemon.hang_up()
    asked = "change: who='signal SIGHUP' what='configuration' outcome='asked for'"
    site.wait(lambda: audited(site)[-1] == asked, "the line of the signal")
    assert all(line.isprintable() for line in service.daemon.log.read_text().splitlines())
