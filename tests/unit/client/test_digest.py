"""A digest is short, whatever a user has."""

from aggregator.client.digest import Digest, _lines
from aggregator.client.quota import Quotas
from aggregator.client.screen import screen

LIMIT = {"limit": "GrpTRES", "tres": "cpu", "value": 480.0, "unit": "cpus", "used": 479.0, "from": {"account": "root"}}
ACCOUNT = {
    "account": "def-lavoie", "jobs": [{"state": "running", "count": 2}], "waste": [{"count": 1}, {"count": 2}],
    "fairshare_level": 0.45, "fairshare_source": "approximation", "shares_ratio": 0.25, "limits": [LIMIT] * 9,
}  # fmt: skip
QUOTA = {
    "filesystem": "project", "owner": "def-lavoie", "quota_used_ratio_bytes": 0.97, "quota_used_ratio_inodes": 0.1,
    "quota_bytes": 100.0, "counted_bytes": 97.0, "disk_used_bytes": 90.0,
}  # fmt: skip
JOB = {
    "id": "1", "job_name": "a", "granted_gpus": 0, "granted_cpus": 4, "cpu_efficiency_ratio": 0.5,
    "gpu_efficiency_ratio": None, "wasted_cpu_seconds": 7200.0, "wasted_gpu_seconds": None, "elapsed_seconds": 3600.0,
}  # fmt: skip
SUMS = {
    "jobs": 1, "wasted_cpu_seconds": None, "wasted_gpu_seconds": 3600.0, "wasted_cpu_seconds_coverage_ratio": 0.0,
    "wasted_gpu_seconds_coverage_ratio": 0.6, "allocated_gpus": 2, "energy_joules_total": None, "co2_grams_total": None,
}  # fmt: skip
ABOUT = Digest("narval", "bob", 7, {}, Quotas([]))


def text(found: dict[str, object], quotas: int = 0) -> list[str]:
    on = screen()
    return [str(on.text(line)) for line in _lines(on, ABOUT, found, [QUOTA] * quotas)]  # type: ignore[arg-type]


def test_a_digest_has_at_most_25_lines() -> None:
    found = {
        "user": {"accounts": [ACCOUNT] * 30}, "sums": {"jobs": [SUMS]}, "usage": {"totals": {"cpu": 3600.0}},
        "best": {"jobs": [{**JOB, "id": "2"}]}, "worst": {"jobs": [JOB]},
    }  # fmt: skip
    lines = text(found, quotas=30)
    assert 15 < len(lines) <= 25
    assert "Wasted     – CPU-hours, 1 GPU-hours (known of 60 %) by 1 finished job" in lines
    assert "Used       1 CPU-hours, – GPU-hours" in lines


def test_what_the_service_does_not_say_is_not_known() -> None:
    lines = text({"user": {"accounts": []}})
    assert lines == [
        "bob on narval, the last 7 days", "Used       – CPU-hours, – GPU-hours", "Wasted     not known",
        "Now        no jobs",
    ]  # fmt: skip


def test_without_finished_jobs_nothing_was_wasted_by_them() -> None:
    assert "Wasted     no job has finished" in text({"user": {"accounts": []}, "sums": {"jobs": []}})
