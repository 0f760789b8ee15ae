"""What a document cannot say, for schemathesis: which values of a parameter go together, and which a site has."""

import re

import schemathesis

# Why a request that follows the document may be refused all the same.
_RELATIONS = re.compile(
    "|".join((
        r"^(start|end): ",  # one is before the other, not too far
        r'^\w+: must be a time such as .* got "(\d{12}|now-|\d{4}-)',  # beyond what a clock shows, or 31 February
        r"startsAt: must be a time of RFC 3339, got '\d{4}-",  # before 1970
        r"'-?\d{18,}' is not a number$",  # more bits than the column has
        r"expected `int`, got `float`$",  # to JSON Schema 1.0 is an integer
        r"^resolution: more than 11000 points",
        r"^step: must be a duration of a second to a year",
        r"^job id: must be at most 100 ids, the first before the last",
        r"^cursor: ",  # it belongs to the other parameters
        r"^(fields|sort|group_by): ",  # names of the list's own fields
        r"^[\w\[\]]+: must be one of ",  # names of a site
        r"needs clusters\.\w+\.exporters\.\w+, which is not configured$",
        r"^qos: slurmdbd rolls usage up by QOS from Slurm 24\.11 on only",
        r"ask for one job at a time$",
    ))
)  # fmt: skip


@schemathesis.check
def a_request_that_follows_the_document_is_answered(ctx, response, case) -> None:  # type: ignore[no-untyped-def]
    """See that nothing is refused for the form of a parameter that the document allows."""
    if response.status_code != 400 or case.meta is None or not case.meta.generation.mode.is_positive:
        return
    said = response.json()["error"] if response.text.startswith("{") else response.text
    assert _RELATIONS.search(said), said
