"""Owners: what the open jobs of each user under an account, and of each account, add up to."""

from aggregator.engine.part import Part
from aggregator.parts.owners import columns
from aggregator.parts.owners.join import join_owners

PART = Part(
    name="owners",
    join=join_owners,
    tables=(
        columns.USERS, columns.USER_STATES, columns.USER_GPUS, columns.USER_FINDINGS,
        columns.ACCOUNTS, columns.ACCOUNT_STATES, columns.ACCOUNT_GPUS, columns.ACCOUNT_FINDINGS,
    ),
)  # fmt: skip
