"""What do open runs hold, in the words of Slurm's limits?"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from aggregator.model.association import (
    QUANTITIES,
    RUNNING_JOBS,
    RUNNING_TRES,
    RUNNING_TRES_SECONDS,
    SUBMITTED_JOBS,
)
from aggregator.model.job_inputs import Runs
from aggregator.model.run_usage import NODE, granted_columns
from aggregator.model.usage import is_allocated
from aggregator.parts.jobs.time import HOLDS, IS_OPEN, limited_seconds

# Whose runs are added up: those of an association, of an account with all below it (user ""), or of a QOS in all, by an
# account, or by a user.
OWNER: Final = ("qos", "account", "user", "partition")
# Runs of one association and QOS: they count to the same owners.
_GROUP: Final = ("account", "user", "partition", "run_qos")
# Of all runs: has each a time limit, and are its billing and its nodes known?
_FACTS: Final = ("is_timed", "is_billed", "is_placed")
_SECONDS: Final = "seconds of "
_OF_RUN: Final = (
    "account", "user", "qos", "association_id", "state", "start", "end", "suspended_seconds", "suspended_since",
    "job_start", "time_limit_seconds", "pending_tasks", "granted_billing", "nodes",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Holdings:
    """What the open runs of each owner hold together.

    owners has a row for each OWNER: jobs, submitted, nodes (as far as they are known: slurmctld counts a node that two
    jobs share once; null unless nodes are limited), is_timed, is_billed and is_placed. Of each of the TRES `tres` it
    has the amount, by its name, and behind _SECONDS the amount × remaining time limit.
    """

    owners: pl.DataFrame
    tres: Sequence[str]


def hold(runs: Runs, users: pl.DataFrame, above: pl.DataFrame, tres: Collection[str], at: float) -> Holdings:
    """Add up the open runs at a time; users are the live ASSOCIATIONS of users, above is the accounts' ancestors.

    tres are those that are limited: others are not added up. The tasks of an array that is not split count each as
    submitted.
    """
    granted = granted_columns(runs, tres)
    open_runs = _open_runs(runs.runs.with_columns(granted), users, [each.name for each in granted], at)
    sums = (pl.exclude(*_GROUP, *_FACTS, "nodes").sum(), pl.col(_FACTS).all())
    groups = open_runs.group_by(_GROUP).agg(sums)
    owners = _of_owners(groups, above).group_by(OWNER).agg(pl.exclude(_FACTS).sum(), pl.col(_FACTS).all())
    if NODE in tres:
        owners = owners.join(_nodes(open_runs, above), on=OWNER, how="left")
    else:
        owners = owners.with_columns(nodes=pl.lit(None, pl.UInt32))
    return Holdings(owners, [each.name for each in granted])


def _open_runs(runs: pl.DataFrame, users: pl.DataFrame, tres: Sequence[str], at: float) -> pl.DataFrame:
    """Give the open runs with their association: where its id says nothing, the one of all partitions."""
    known = users.select("association_id", *(pl.col(name).alias(f"of_{name}") for name in _GROUP[:3]))
    found = runs.select(*_OF_RUN, *tres).filter(IS_OPEN)
    joined = found.join(known.unique("association_id"), on="association_id", how="left")
    left = (pl.col("time_limit_seconds") - limited_seconds(pl.lit(at))).clip(0)
    # Whole seconds, which add up to the same in any order.
    remaining = left.round().cast(pl.Int64).fill_null(0)
    return joined.with_columns(holds=HOLDS, remaining=remaining).select(
        account=pl.coalesce("of_account", "account"),
        user=pl.coalesce("of_user", "user"),
        partition=pl.col("of_partition").fill_null(""),
        run_qos="qos",
        jobs=pl.col("holds").cast(pl.Int64),
        submitted=pl.max_horizontal("pending_tasks", 1),
        is_timed=~pl.col("holds") | pl.col("time_limit_seconds").is_not_null(),
        is_billed=~pl.col("holds") | pl.col("granted_billing").is_not_null(),
        is_placed=~pl.col("holds") | (pl.col("nodes").list.len().fill_null(0) > 0),
        nodes=pl.when("holds").then("nodes"),
        **{name: pl.when("holds").then(name) for name in tres},
        **{_SECONDS + name: pl.when("holds").then(pl.col(name).cast(pl.Int128) * pl.col("remaining")) for name in tres},
    )


def _of_owners(rows: pl.DataFrame, above: pl.DataFrame) -> pl.DataFrame:
    """Give each row of a group to every OWNER to whom its runs count, and to each once."""
    nobody, others = pl.lit(""), pl.exclude(*_GROUP, "above")
    accounts = rows.join(above.select("account", "above"), on="account")
    named = rows.filter(pl.col("run_qos") != "")
    has_account, has_user = pl.col("account") != "", pl.col("user") != ""
    found = [
        rows.filter(has_user).select(others, qos=nobody, account="account", user="user", partition="partition"),
        accounts.select(others, qos=nobody, account="above", user=nobody, partition=nobody),
        named.select(others, qos="run_qos", account=nobody, user=nobody, partition=nobody),
        named.filter(has_account).select(others, qos="run_qos", account="account", user=nobody, partition=nobody),
        named.filter(has_user).select(others, qos="run_qos", account=nobody, user="user", partition=nobody),
    ]
    return pl.concat(found)


def _nodes(open_runs: pl.DataFrame, above: pl.DataFrame) -> pl.DataFrame:
    """Count the nodes that each OWNER's runs are on."""
    places = open_runs.select(*_GROUP, "nodes").explode("nodes").drop_nulls("nodes").unique()
    return _of_owners(places, above).group_by(OWNER).agg(pl.col("nodes").n_unique())


def with_used(limits: pl.DataFrame, holdings: Holdings) -> pl.DataFrame:
    """Add to limits (OWNER, limit, tres) what is used of them by the runs of the owner.

    Null for what is not known, and for limits that holdings say nothing of: of one job, or of past usage.
    """
    joined = limits.join(holdings.owners, on=OWNER, how="left", maintain_order="left")
    held = list(filter(is_allocated, limits["tres"].unique()))
    quantity = pl.col("limit").replace_strict(QUANTITIES, default=None, return_dtype=pl.String)
    used = pl.when(quantity == RUNNING_JOBS).then(_known("jobs")).when(quantity == SUBMITTED_JOBS).then(
        _known("submitted")
    ).when(pl.col("tres").is_in(held)).then(
        pl.when(quantity == RUNNING_TRES).then(_tres(holdings.tres))
        .when(quantity == RUNNING_TRES_SECONDS).then(_tres_seconds(holdings.tres))
    )  # fmt: skip
    return joined.select(*limits.columns, used=used)


def _known(column: str | pl.Expr) -> pl.Expr:
    """Give what is held; who has no open run holds nothing."""
    held = pl.col(column) if isinstance(column, str) else column
    return held.fill_null(0).cast(pl.Float64)


def _has(fact: str) -> pl.Expr:
    return pl.col(fact).fill_null(True)


def _of_limited(tres: Sequence[str], prefix: str = "") -> pl.Expr:
    """Choose the column of the TRES that is limited."""
    return pl.coalesce(pl.lit(None, pl.Int64), *(pl.when(pl.col("tres") == name).then(prefix + name) for name in tres))


def _tres(tres: Sequence[str]) -> pl.Expr:
    nodes = pl.when(_has("is_placed")).then(_known("nodes"))
    amount = pl.when(_has("is_billed") | (pl.col("tres") != "billing")).then(_known(_of_limited(tres)))
    return pl.when(pl.col("tres") == NODE).then(nodes).otherwise(amount)


def _tres_seconds(tres: Sequence[str]) -> pl.Expr:
    is_billed = _has("is_billed") | (pl.col("tres") != "billing")
    return pl.when(_has("is_timed") & is_billed).then(_known(_of_limited(tres, _SECONDS)))
