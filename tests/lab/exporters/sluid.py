"""How Slurm writes a SLUID, the number that job_table.sluid has: its cgroups are called so from 26.05 on."""

_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def sluid(number: int) -> str:
    """Write `s` and 13 digits to the base of 32 (Crockford's, without I, L, O and U)."""
    return "s" + "".join(_DIGITS[number >> 5 * place & 31] for place in range(12, -1, -1))
