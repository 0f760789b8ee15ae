"""Parts of a node's energy, and by what the runs on it (tenants) share each of them."""

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True, slots=True)
class Pot:
    """A part of a node's joules of one window, as expressions.

    columns are those of the node that `share` needs. share is linear in what is a tenant's: with a tenant's amounts it
    is the tenant's part, with their sums (the node has them in columns of the same names) all tenants' together. What
    is left is nobody's: idle, which nobody reserved, and unattributed, of which it is not known whose it is. The three
    add up to the pot, and none is negative.
    """

    columns: tuple[pl.Expr, ...]
    share: pl.Expr
    idle: pl.Expr
    unattributed: pl.Expr


_NOTHING = pl.lit(0.0)


def reserved(name: str, joules: pl.Expr, part: str, is_known: pl.Expr) -> Pot:
    """Share by the part of the node that each reserved; what nobody did is idle.

    Where the part of one is not known (a node of unknown size), all of it is unattributed.
    """
    # Dominant parts, or a node with more CPUs in Slurm than it has, add up to more than the node.
    each = pl.when(is_known).then(joules / pl.max_horizontal(1.0, part)).otherwise(0.0)
    share = pl.col(f"{name}_each") * pl.col(part)
    return Pot(
        columns=(each.alias(f"{name}_each"),),
        share=share,
        idle=pl.when(is_known & (pl.col(part) < 1)).then((joules - share).clip(0.0)).otherwise(0.0),
        unattributed=pl.when(is_known).then(0.0).otherwise(joules),
    )


def known_part(amount: str) -> pl.Expr:
    """Give the part of what tenants hold, by their CPUs, of those whose use is known."""
    allocated = pl.col("allocated_cpu_seconds")
    return pl.when(allocated > 0).then(1 - pl.col(f"{amount}_unknown") / allocated).otherwise(0.0)


def used(name: str, joules: pl.Expr, amount: str, whole: pl.Expr = _NOTHING) -> Pot:
    """Share by what each used of the sum, or of the whole node's if that is more.

    What the system used, and the part of tenants whose own is not known (`known_part`), is unattributed.
    """
    known = pl.col(f"{amount}_known")
    total = pl.max_horizontal(pl.col(amount), whole * known)
    # Divided first: a part of the sum is at most 1, however small both are.
    share = (pl.col(f"{name}_known") * (pl.col(amount) / pl.col(f"{name}_total"))).fill_null(0.0)
    return Pot(
        columns=((joules * known).alias(f"{name}_known"), pl.when(total > 0).then(total).alias(f"{name}_total")),
        share=share,
        idle=_NOTHING,
        unattributed=(joules - share).clip(0.0),
    )


def even(name: str, joules: pl.Expr) -> Pot:
    """Share evenly, by the time that each was there."""
    seconds = pl.col("seconds")
    each = pl.when(seconds > 0).then(joules / seconds).otherwise(0.0)
    return Pot((each.alias(f"{name}_each"),), pl.col(f"{name}_each") * seconds, _NOTHING, _NOTHING)


def own_gpus(joules: pl.Expr, window_seconds: float) -> Pot:
    """Give each tenant its own GPUs' energy, scaled down where they show more than the node's GPUs drew.

    GPUs that no series shows have no process: they share evenly what the node's GPUs drew beyond the others, with those
    that nobody holds. Where the number of the node's GPUs is not known, that is unattributed.
    """
    own, unseen = pl.col("own_gpu_joules"), pl.col("unseen_gpu_seconds")
    rest = (joules - own).clip(0.0)
    free = pl.col("gpus") * window_seconds - pl.col("allocated_gpu_seconds") + unseen
    is_countable = (unseen > 0) & pl.col("gpus").is_not_null()
    left = (rest - pl.col("gpu_each") * unseen).clip(0.0)
    nobody_holds = (unseen <= 0) | is_countable
    return Pot(
        columns=(
            pl.when(own > joules).then(joules / own).otherwise(1.0).alias("gpu_scale"),
            pl.when(is_countable).then(rest / pl.max_horizontal(unseen, free)).otherwise(0.0).alias("gpu_each"),
        ),
        share=pl.col("gpu_scale") * own + pl.col("gpu_each") * unseen,
        idle=pl.when(nobody_holds).then(left).otherwise(0.0),
        unattributed=pl.when(nobody_holds).then(0.0).otherwise(left),
    )
