"""What do open runs hold, in the words of Slurm's limits?"""

from collections.abc import Collection
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
from aggregator.model.run_usage import granted_tres
from aggregator.model.usage import is_held
from aggregator.parts.jobs.time import HOLDS, IS_OPEN, limited_seconds

# Whose runs are added up: those of an association, of an account with all below it (user ""), or of a QOS in all, by an
# account, or by a user.
OWNER: Final = ("qos", "account", "user", "partition")
# Runs of one association and QOS: they count to the same owners.
_GROUP: Final = ("account", "user", "partition", "run_qos")


@dataclass(frozen=True, slots=True)
class Holdings:
    """What the open runs of each owner hold together.

    owners numbers each OWNER. counts has a row for each: jobs, submitted, nodes (null when the nodes of a run are not
    known: slurmctld counts a node that two jobs share once), is_timed (every run has a time limit) and is_billed (the
    billing of each is known). tres has amount and seconds (amount × remaining time limit) by owner and TRES.
    """

    owners: pl.DataFrame
    counts: pl.DataFrame
    tres: pl.DataFrame


def hold(runs: Runs, users: pl.DataFrame, above: pl.DataFrame, tres: Collection[str], at: float) -> Holdings:
    """Add up the open runs at a time; users are the live ASSOCIATIONS of users, above is the accounts' ancestors.

    tres are those that are limited: others are not added up. The tasks of an array that is not split count each as
    submitted.
    """
    open_runs = _open_runs(runs, users, at)
    groups = open_runs.select(_GROUP).unique().with_row_index("group")
    owners, members = _owners(groups, above)
    grouped = open_runs.join(groups, on=_GROUP)
    running = grouped.filter("holds")
    limited = granted_tres(runs).filter(pl.col("tres").is_in(list(tres)))
    held = limited.join(running.select("run_id", "group", "remaining"), on="run_id")
    of_groups = held.group_by("group", "tres").agg(
        pl.col("amount").sum(), seconds=(pl.col("amount").cast(pl.Int128) * pl.col("remaining")).sum()
    )
    of_owners = members.join(of_groups, on="group").group_by("owner", "tres").agg(pl.col("amount", "seconds").sum())
    return Holdings(owners, _counts(grouped, running, members), of_owners)


def _counts(grouped: pl.DataFrame, running: pl.DataFrame, members: pl.DataFrame) -> pl.DataFrame:
    facts = ("is_timed", "is_billed", "is_placed")
    of_groups = grouped.group_by("group").agg(
        pl.col("holds").sum().cast(pl.Int64).alias("jobs"),
        pl.col("tasks").sum().alias("submitted"),
        pl.col(facts).all(),
    )
    counts = (
        members.join(of_groups, on="group")
        .group_by("owner")
        .agg(pl.col("jobs", "submitted").sum(), pl.col(facts).all())
    )
    places = running.select("group", "nodes").explode("nodes").drop_nulls().unique()
    nodes = members.join(places, on="group").group_by("owner").agg(pl.col("nodes").n_unique())
    joined = counts.join(nodes, on="owner", how="left")
    return joined.with_columns(nodes=pl.when("is_placed").then(pl.col("nodes").fill_null(0)))


def _open_runs(runs: Runs, users: pl.DataFrame, at: float) -> pl.DataFrame:
    """Give the open runs with their association: where its id says nothing, the one of all partitions."""
    known = users.select("association_id", *(pl.col(name).alias(f"of_{name}") for name in _GROUP[:3]))
    joined = runs.runs.filter(IS_OPEN).join(known.unique("association_id"), on="association_id", how="left")
    left = (pl.col("time_limit_seconds") - limited_seconds(pl.lit(at))).clip(0)
    return joined.select(
        "run_id",
        account=pl.coalesce("of_account", "account"),
        user=pl.coalesce("of_user", "user"),
        partition=pl.col("of_partition").fill_null(""),
        run_qos="qos",
        tasks=pl.max_horizontal("pending_tasks", 1),
        holds=HOLDS,
        # Whole seconds, which add up to the same in any order.
        remaining=left.round().cast(pl.Int64).fill_null(0),
        is_timed=~HOLDS | pl.col("time_limit_seconds").is_not_null(),
        is_billed=~HOLDS | pl.col("granted_billing").is_not_null(),
        is_placed=~HOLDS | (pl.col("nodes").list.len().fill_null(0) > 0),
        nodes="nodes",
    )


def _owners(groups: pl.DataFrame, above: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Number every OWNER to whom runs count, and give the groups of each: owner, group."""
    nobody = pl.lit("")
    accounts = groups.join(above.select("account", "above"), on="account")
    named = groups.filter(pl.col("run_qos") != "")
    found = [
        groups.select("group", qos=nobody, account="account", user="user", partition="partition"),
        accounts.select("group", qos=nobody, account="above", user=nobody, partition=nobody),
        named.select("group", qos="run_qos", account=nobody, user=nobody, partition=nobody),
        named.select("group", qos="run_qos", account="account", user=nobody, partition=nobody),
        named.select("group", qos="run_qos", account=nobody, user="user", partition=nobody),
    ]
    every = pl.concat(found)
    owners = every.select(OWNER).unique().with_row_index("owner")
    return owners, every.join(owners, on=OWNER).select("owner", "group").unique()


def with_used(limits: pl.DataFrame, holdings: Holdings) -> pl.DataFrame:
    """Add to limits (OWNER, limit, tres) what is used of them by the runs of the owner.

    Null for what is not known, and for limits that holdings say nothing of: of one job, or of past usage.
    """
    named = limits.join(holdings.owners, on=OWNER, how="left", maintain_order="left")
    counted = named.join(holdings.counts, on="owner", how="left", maintain_order="left")
    joined = counted.join(holdings.tres, on=["owner", "tres"], how="left", maintain_order="left")
    held = list(filter(is_held, limits["tres"].unique()))
    quantity = pl.col("limit").replace_strict(QUANTITIES, default=None, return_dtype=pl.String)
    used = pl.when(quantity == RUNNING_JOBS).then(_known("jobs")).when(quantity == SUBMITTED_JOBS).then(
        _known("submitted")
    ).when(pl.col("tres").is_in(held)).then(
        pl.when(quantity == RUNNING_TRES).then(_tres()).when(quantity == RUNNING_TRES_SECONDS).then(_tres_seconds())
    )  # fmt: skip
    return joined.select(*limits.columns, used=used)


def _known(column: str) -> pl.Expr:
    """Give what is held; who has no open run holds nothing."""
    return pl.col(column).fill_null(0).cast(pl.Float64)


def _has(fact: str) -> pl.Expr:
    return pl.col(fact).fill_null(True)


def _tres() -> pl.Expr:
    nodes = pl.when(_has("is_placed")).then(_known("nodes"))
    amount = pl.when(_has("is_billed") | (pl.col("tres") != "billing")).then(_known("amount"))
    return pl.when(pl.col("tres") == "node").then(nodes).otherwise(amount)


def _tres_seconds() -> pl.Expr:
    is_billed = _has("is_billed") | (pl.col("tres") != "billing")
    return pl.when(_has("is_timed") & is_billed).then(_known("seconds"))
