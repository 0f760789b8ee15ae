"""Accounts: the tree, awards, shares, limits with what is used of them, and usage over windows."""

from aggregator.engine.part import Part
from aggregator.parts.accounts import columns
from aggregator.parts.accounts.join import join_accounts

PART = Part(name="accounts", join=join_accounts, tables=columns.TABLES)
