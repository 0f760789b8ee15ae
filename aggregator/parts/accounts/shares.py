"""What part of its level do an association's shares give it, and how is it served beside the others, by Fair Tree?"""

from typing import Final

import polars as pl

from aggregator.engine.frame import add_columns
from aggregator.model.association import Associations
from aggregator.model.usage import LeftUsage

BILLING: Final = "billing"
EXPORTER: Final = "slurm_exporter"
APPROXIMATION: Final = "approximation"
_HAS_NO_LEVEL_OF_ITS_OWN: Final = pl.col("shares").is_null() & (pl.col("parent") != "")


def with_shares(rows: pl.DataFrame, above: pl.DataFrame) -> pl.DataFrame:
    """Add to the associations of accounts and users the head of their level, and shares_ratio.

    Accounts and users below one account share a level, of which that account is the head. One with `parent` (null
    shares) has its parent's part, and its children compete with those beside it. The root, a level of 0, and what is
    not in a sound tree have no ratio.
    """
    over = pl.when(pl.col("user") == "").then("parent").otherwise("account")
    placed = add_columns(rows.with_columns(over=over), _heads(rows, above), on="over")
    part = pl.when("is_sound").then(pl.col("shares") / pl.col("shares").sum().over("head"))
    # In a level of 0 that is no number.
    own = placed.with_columns(shares_ratio=part.fill_nan(None))
    heads = own.filter(pl.col("user") == "").select(head="account", of_head="shares_ratio")
    inherited = pl.when(pl.col("shares").is_null() & pl.col("is_sound")).then("of_head").otherwise("shares_ratio")
    return add_columns(own, heads, on="head").with_columns(shares_ratio=inherited).drop("of_head", "is_sound", "over")


def _heads(rows: pl.DataFrame, above: pl.DataFrame) -> pl.DataFrame:
    """Give for each account the head of the level below it, and whether it is in a tree that ends at a root."""
    accounts = rows.filter(pl.col("user") == "").select(
        above="account", is_head=~_HAS_NO_LEVEL_OF_ITS_OWN, is_root=pl.col("parent") == ""
    )
    upwards = above.join(accounts, on="above").sort("distance")
    return upwards.group_by(over="account").agg(
        head=pl.col("above").filter("is_head").first(), is_sound=pl.col("is_root").any()
    )


def counts_whole(associations: Associations) -> bool:
    """Tell whether every job's usage counts once: no QOS that anybody may use has another UsageFactor.

    slurmdbd's roll-ups leave the factor out, and most releases do not tell by which QOS something was used.
    """
    live = associations.rows.filter(~pl.col("deleted"))
    allowed = live.select(qos_id=pl.concat_list("qos", "added_qos")).explode("qos_id").drop_nulls()
    if associations.qos.is_empty():
        # slurmdbd always has a QOS: its table may not be read, and the factors are not known.
        return allowed.is_empty()
    factors = associations.qos.join(allowed, on="qos_id", how="semi")["usage_factor"]
    return bool((factors == 1).all())


def with_fair_shares(rows: pl.DataFrame, left: LeftUsage | None, levels: pl.DataFrame) -> pl.DataFrame:
    """Add usage_ratio, fairshare_level and fairshare_source, given what is left of usage, and LEVELS.

    What slurmctld says of an account wins. A level of null with a source is infinity: nothing was used.
    """
    used = with_usage_ratio(rows, left)
    told = used.join(levels.select("account", "level", is_told=True), on="account", how="left", maintain_order="left")
    is_told = pl.col("is_told").is_not_null() & (pl.col("user") == "")
    ratio, usage = pl.col("shares_ratio"), pl.col("usage_ratio")
    # One with `parent` competes through those below it, or comes first of all.
    is_computed = pl.col("shares").is_not_null() & ratio.is_not_null() & usage.is_not_null()
    # Without shares it is 0, whatever was used.
    computed = pl.when(ratio == 0).then(0.0).when(usage > 0).then(ratio / usage)
    level = pl.when(is_told).then(pl.col("level")).when(is_computed).then(computed)
    source = pl.when(is_told).then(pl.lit(EXPORTER)).when(is_computed).then(pl.lit(APPROXIMATION))
    return told.with_columns(
        fairshare_level=pl.when(level.is_finite()).then(level), fairshare_source=source
    ).drop("level", "is_told")  # fmt: skip


def with_usage_ratio(rows: pl.DataFrame, left: LeftUsage | None) -> pl.DataFrame:
    """Add the usage ÷ that of the head of the level; null where it is not known, or there is no head."""
    if left is None or BILLING not in left.tres:
        return rows.with_columns(usage_ratio=pl.lit(None, dtype=pl.Float64))
    of_accounts = _billing(left.accounts)
    of_users = add_columns(rows, _billing(left.associations).rename({"seconds": "of_user"}), on="association_id")
    of_all = add_columns(of_users, of_accounts.rename({"seconds": "of_account"}), on="account")
    joined = add_columns(of_all, of_accounts.rename({"account": "head", "seconds": "whole"}), on="head")
    own = pl.when(pl.col("user") == "").then("of_account").otherwise("of_user").fill_null(0.0)
    ratio = pl.when(pl.col("whole") > 0).then(own / pl.col("whole")).otherwise(0.0)
    known = joined.with_columns(usage_ratio=pl.when(pl.col("head").is_not_null()).then(ratio))
    return known.drop("of_user", "of_account", "whole")


def _billing(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(pl.col("tres") == BILLING).drop("tres")
