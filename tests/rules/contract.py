"""The recording rules that portals read: names and expressions as they document them."""

_FS = 'sum(label_replace(rate({}{{component="{}"}}[3m]), "fs", "$1", "target", "(.*)-{}.*")) by ({})'

CONTRACT = {
    "slurm_job:allocated_core:count": "count(slurm_job_core_usage_total) by (cluster)",
    "slurm_job:allocated_core:count_user_account": "count(slurm_job_core_usage_total) by (user,account,cluster)",
    "slurm_job:used_core:sum": "sum(rate(slurm_job_core_usage_total{}[2m]) / 1000000000) by (cluster)",
    "slurm_job:used_core:sum_user_account": (
        "sum(rate(slurm_job_core_usage_total{}[2m]) / 1000000000) by (user,account, cluster)"
    ),
    "slurm_job:allocated_memory:sum": "sum(slurm_job_memory_limit{}) by (cluster)",
    "slurm_job:allocated_memory:sum_user_account": "sum(slurm_job_memory_limit{}) by (user,account,cluster)",
    "slurm_job:rss_memory:sum": "sum(slurm_job_memory_rss) by (cluster)",
    "slurm_job:rss_memory:sum_user_account": "sum(slurm_job_memory_rss) by (user, account, cluster)",
    "slurm_job:max_memory:sum_user_account": "sum(slurm_job_memory_max) by (user, account, cluster)",
    "slurm_job:allocated_gpu:count": "count(slurm_job_utilization_gpu) by (cluster)",
    "slurm_job:allocated_gpu:count_user_account": "count(slurm_job_utilization_gpu) by (user, account, cluster)",
    "slurm_job:used_gpu:sum": "sum(slurm_job_utilization_gpu) by (cluster)/ 100",
    "slurm_job:used_gpu:sum_user_account": "sum(slurm_job_utilization_gpu) by (user,account,cluster) / 100",
    "slurm_job:non_idle_gpu:sum_user_account": "count(slurm_job_utilization_gpu > 0) by (user,account,cluster)",
    "slurm_job:power_gpu:sum": "sum(slurm_job_power_gpu) by (cluster)",
    "slurm_job:power_gpu:sum_user_account": "sum(slurm_job_power_gpu) by (user,account,cluster)",
    "lustre:read_bytes:rate3m": _FS.format("lustre_read_bytes_total", "ost", "OST", "fs, cluster"),
    "lustre:write_bytes:rate3m": _FS.format("lustre_write_bytes_total", "ost", "OST", "fs, cluster"),
    "lustre:read_bytes:rate3m_user": "sum by (user,fs,cluster,account) (rate(lustre_job_read_bytes_total{}[3m]))",
    "lustre:write_bytes:rate3m_user": "sum by (user,fs,cluster,account) (rate(lustre_job_write_bytes_total{}[3m]))",
    "lustre:metadata:rate3m": _FS.format("lustre_stats_total", "mdt", "MDT", "fs,operation,cluster"),
    "lustre:metadata:rate3m_user": "sum by (user,fs,cluster,account) (rate(lustre_job_stats_total{}[3m]))",
}

# Of the newest portal only.
NEWEST = {
    "slurm_job:process_usage:sum_account": (
        'sum(label_replace(deriv(slurm_job_process_usage_total{}[1m]) > 0, "bin", "$1", "exe", ".*/(.*)"))'
        " by (cluster, account, bin)"
    ),
}

# What the service asks itself at every refresh, for an exporter that is scraped every 30 s.
INPUTS = {
    "job_node:slurm_job_core_usage:deriv2m": (
        "sum by (cluster,slurmjobid,instance) (max by (cluster,slurmjobid,instance,core)"
        " (deriv(slurm_job_core_usage_total[2m])))"
        " and max by (cluster,slurmjobid,instance) (count_over_time(slurm_job_memory_usage[2m])) > 1"
    ),
}
