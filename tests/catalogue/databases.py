"""What the portal's pages ask of slurmacct and of Robinhood, in SQL, and where the same is had here."""

from typing import NamedTuple


class Page(NamedTuple):
    """One thing that a page reads: from what, where it is here (a route of docs/api.md, and its fields), and how
    the two part."""

    page: str
    reads: str
    route: str
    fields: str
    remark: str


_JOBS = "/api/v1/clusters/{cluster}/jobs"
_JOB = f"{_JOBS}/{{job_id}}"
SLURMACCT = (
    Page("Own jobs", "job table by user, running ones first", _JOBS, "`user`, `state`",
         "Finished runs of any time at `…/jobs/history`."),
    Page("Job: header, resources, times, submit line", "job table by id", _JOB, "`runs`",
         "Every run of the id (requeues, resizes), not one of them; signed and unsigned `job_db_inx`."),
    Page("Job: other runs", "job table by id", _JOB, "`runs`", "Of a reused id each run has its own owner."),
    Page("Job: dependencies and dependents", "job table, `submit_line`", _JOB, "`around.dependencies`",
         "From the submit line (Slurm 21.08); only those that may be seen are named."),
    Page("Job: array", "job table by array id", _JOB, "`around.array_tasks`",
         "Counted by state; `…/jobs?array_job_id=` lists the tasks."),
    Page("Job: node events", "event table by the job's nodes", _JOB, "`around.node_events`",
         "Rows that slurmdbd splits when the cluster changes are one event."),
    Page("Job: script", "the portal's own table", f"{_JOB}/script", "",
         "What an agent delivered, else slurmdbd's own archive."),
    Page("Job: advice", "job table: limits, states, flags of the submit line", f"{_JOB}/advice", "`changes`",
         "The `#SBATCH` lines to change, from what similar runs used; `waste` of the job has what rules have found."),
    Page("Account: members and their jobs", "association and job tables",
         "/api/v1/clusters/{cluster}/accounts/{account}", "",
         "The tree above and below it too, with shares and limits."),
    Page("Staff: length of jobs, ratio of used to asked time", "job table of a time",
         f"{_JOBS}/history", "`elapsed_seconds_p50`, `timeouts_ratio`",
         "`group_by=partition`, or by anything else, with `time_limit_used_ratio_p50` and waits, in one call."),
    Page("Staff: priority when jobs started", "job table with `slurm_account_levelfs`",
         "/api/v1/clusters/{cluster}/series", "levelfs", "The lines; they are not joined with the jobs' starts."),
    Page("Staff: jobs with much memory", "job table, `partition LIKE '%large%'`, running for an hour",
         _JOBS, "`allocated_memory_bytes`", "`sort=-allocated_memory_bytes`, or by what they waste; in any partition."),
    Page("Staff: node", "event table by node", "/api/v1/clusters/{cluster}/nodes/{node}/events", "",
         "And the jobs that were there: `…/nodes/{node}/jobs`."),
)  # fmt: skip
_GROUPS = "/api/v1/storage/{filesystem}/groups/{group}"
ROBINHOOD = (
    Page("Quota: project, used", "`ACCT_STAT` of the group, status `''` or `new`: blocks × 512", _GROUPS,
         "`disk_used_bytes`",
         "Ours is all that is on disk. The portal tells /project and /nearline apart by the status of HSM alone: new "
         "files and directories of nearline count as project's there, archived files of project as nearline's."),
    Page("Quota: nearline, on disk", "status other than `''`, `new`, `released`: blocks × 512", _GROUPS,
         "`disk_used_bytes`",
         "In the same sum; a file that is being recalled has blocks while they come back."),
    Page("Quota: nearline, on tape", "status `released`: size", _GROUPS, "`tape_used_bytes`",
         "Ours counts every file with a copy on tape, also those that are still on disk (`synchro`); the portal "
         "counts released ones only."),
    Page("Quota: limits", "settings of the portal, or LDAP", _GROUPS, "`quota_bytes`",
         "From the allocations file or the file system's own quota; 0 is no limit."),
    Page("Quota: users of the group", "`ACCT_STAT` by uid", "/api/v1/storage/{filesystem}/users", "",
         "One row for each user, whatever types and states the files have, root and small users too: rows add up "
         "to the total. With Django 5 the portal's list has a user once for each type and state."),
    Page("Quota: own storage", "lfs_quota (QL1, QL2)", "/api/v1/storage/{filesystem}/users", "",
         "Beside what the quota counts, what Robinhood counts."),
    Page("(none)", "`VARS`: last changelog record and scan", "/api/v1/storage/{filesystem}", "`updated_time`",
         "The portal does not say how old the numbers are."),
)  # fmt: skip
