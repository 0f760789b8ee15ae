"""lustre_exporter_slurm: a proxy in front of lustre_exporter that puts fs, user and account on the series of jobs.

Its `fs` is what stands before the first `-` of the target: a file system with one in its name is cut short, so that
the target is read instead. Series of `name.uid` have a user and never an account; those of ids that slurmdbd does not
know, of other forms and of empty ones have neither, and are the line without a user here. A requeued or reused job id
has the user of whichever run was found first: what is shown now is attributed anew (join/lustre.py).
"""

from aggregator.sources.prometheus.exporters.lustre_exporter import (
    JOB_BYTES,
    JOB_OPERATIONS,
    SHARED,
    bandwidth,
    metadata,
    summed,
    sums_of,
    top_users,
)
from aggregator.sources.prometheus.graphs import LABELS, TARGET

_OF_USER = {"user": LABELS}
_OF_ACCOUNT = {"account": LABELS}
_OPERATIONS = ", $job, operation"
_TOP = summed("rates", "user, filesystem", ", $job, operation")
GRAPHS = (
    *SHARED,
    bandwidth(_OF_USER, sums_of(JOB_BYTES, "account, filesystem", ", $job"), JOB_BYTES),
    metadata(_OF_USER, summed("operations", "account, filesystem, operation", _OPERATIONS), JOB_OPERATIONS),
    bandwidth(_OF_ACCOUNT, sums_of(JOB_BYTES, "user, filesystem", ", $job"), JOB_BYTES),
    metadata(_OF_ACCOUNT, summed("operations", "user, filesystem", _OPERATIONS), JOB_OPERATIONS),
    *(
        top_users(f"lustre_users_{each}", f"Bytes {text}, by user.", "bytes per second", _TOP, JOB_BYTES[each], TARGET)
        for each, text in (("read", "read"), ("write", "written"))
    ),
    top_users(
        "lustre_users_metadata", "Metadata operations, by user.", "operations per second", _TOP,
        JOB_OPERATIONS["operations"], TARGET,
    ),
)  # fmt: skip
