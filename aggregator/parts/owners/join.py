"""What do the jobs of users and accounts add up to?"""

from aggregator.engine.frame import Frames
from aggregator.engine.part import Inputs
from aggregator.parts.owners.sums import count_findings, count_gpus, count_states, sum_jobs


def join_owners(frames: Frames, inputs: Inputs, at: float) -> Frames:
    """Add up the jobs: a user's jobs under two accounts are two sums, an account's are its own, no child's."""
    jobs = frames["jobs"]
    users, accounts = sum_jobs(jobs)
    user_states, account_states = count_states(jobs)
    user_gpus, account_gpus = count_gpus(jobs, frames["job_gpus"])
    user_findings, account_findings = count_findings(frames["waste"])
    return {
        "users": users, "user_states": user_states, "user_gpus": user_gpus, "user_findings": user_findings,
        "accounts": accounts, "account_states": account_states, "account_gpus": account_gpus,
        "account_findings": account_findings,
    }  # fmt: skip
