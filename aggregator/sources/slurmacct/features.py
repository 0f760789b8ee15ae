"""What a schema offers, by stable names: told by the columns that may be read, never by a version number."""

from collections.abc import Mapping
from typing import Final

from aggregator.sources.slurmacct.schema import Schema

# (table, column), as Schema.has asks for them.
_Columns = tuple[tuple[str, str], ...]

# feature → the sets of columns of which one must be whole. docs/compatibility.md says what is without it.
FEATURES: Final[Mapping[str, tuple[_Columns, ...]]] = {
    "arrays": ((("job", "id_array_job"), ("job", "id_array_task")),),
    "array_pending": ((("job", "array_task_pending"),),),
    "het_jobs": ((("job", "het_job_id"), ("job", "het_job_offset")),),
    "submit_line": ((("job", "submit_line"),),),
    "scripts": (
        (("job", "script_hash_inx"), ("job_script", "hash_inx"), ("job_script", "batch_script")),
        (("job", "batch_script"),),
    ),
    "restart_count": ((("job", "restart_cnt"),),),
    "requested_qos": ((("job", "qos_req"),),),
    "licenses": ((("job", "licenses"),),),
    "failed_node": ((("job", "failed_node"),),),
    "output_files": ((("job", "std_out"), ("job", "std_err")),),
    "sluid": ((("cluster", "id"),),),
    "sluid_column": ((("job", "sluid"),),),
    "steps": ((("step", "id_step"), ("step", "tres_usage_in_max"), ("step", "tres_usage_in_tot")),),
    "suspensions": ((("suspend", "time_start"), ("suspend", "time_end")),),
    "lineage": ((("assoc", "lineage"), ("assoc", "id_parent")),),
    "association_limits": ((("assoc", "grp_tres"), ("assoc", "grp_tres_mins"), ("assoc", "max_tres_pj")),),
    "association_flags": ((("assoc", "flags"), ("acct", "flags")),),
    "coordinators": ((("acct_coord", "acct"), ("acct_coord", "user")),),
    "qos_limits": ((("qos", "grp_tres"), ("qos", "max_tres_pu")),),
    "qos_limit_factor": ((("qos", "limit_factor"),),),
    "node_events": ((("event", "node_name"), ("event", "time_start"), ("event", "reason")),),
    "reservations": ((("resv", "id_resv"), ("resv", "assoclist")),),
    "usage": ((("assoc_usage_hour", "alloc_secs"), ("usage_hour", "alloc_secs"), ("last_ran", "hourly_rollup")),),
    "usage_plan": ((("usage_hour", "plan_secs"),), (("usage_hour", "resv_secs"),)),
    "qos_usage": ((("qos_usage_hour", "alloc_secs"), ("qos_usage_hour", "id_alt")),),
}


def features_of(schema: Schema) -> dict[str, bool]:
    """Tell of each feature whether the schema has it."""
    return {
        name: any(all(schema.has(table, column) for table, column in columns) for columns in choices)
        for name, choices in FEATURES.items()
    }
