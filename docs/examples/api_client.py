#!/usr/bin/env python3
"""Print who wastes most GPUs now, with the jobs and what the rules advise.

URL is the service's address, TOKEN a token with a scope to read (where one is needed), CLUSTER the cluster's name.
"""

import json
import os
import urllib.parse
import urllib.request

CLUSTER = os.environ.get("CLUSTER", "demo")


def get(path, **parameters):
    """Give the data of an answer."""
    url = f"{os.environ['URL']}/api/v1/clusters/{CLUSTER}/{path}?{urllib.parse.urlencode(parameters)}"
    token = os.environ.get("TOKEN")
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["data"]


def rows(name, **parameters):
    """Give all rows of a list, page after page."""
    cursor = {}
    while cursor is not None:
        page = get(name, **parameters, **cursor)
        yield from page[name]
        cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] else None


worst = get("jobs", group_by="user", sort="-wasted_gpus", fields="user,jobs,wasted_gpus", limit=3)["jobs"]
for who in worst:
    print(f"{who['user']}: {who['wasted_gpus'] or 0:.1f} GPUs of {who['jobs']} jobs")
    for job in rows("jobs", user=who["user"], min_wasted_gpus=0.5, sort="-wasted_gpus", fields="id,job_id,wasted_gpus"):
        findings = get(f"jobs/{job['job_id']}")["runs"][-1]["waste"]
        print(f"  {job['id']}: {job['wasted_gpus']:.1f}", *(finding["fix"] or "" for finding in findings))
