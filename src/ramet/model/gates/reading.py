"""`[gates]` of ramet.toml: the fields of `Policy` by their names, those in seconds as durations without the `_s`."""

from ramet.model.gates.policy import Policy
from ramet.model.toml import Reader

CANARY_BAKE_S = 60.0
"""Time of a canary at each weight where `[gates]` has no `bake`. A minute, not the 10 of the policy: four weights of 10 minutes
are longer than a person waits, and a gate that cannot tell by then goes on for two more."""


def read(table: Reader) -> Policy:
    """Mistakes go to the table."""
    policy = Policy(bake_s=CANARY_BAKE_S)
    found: dict[str, float] = {}
    for field in Policy.__struct_fields__:
        default = getattr(policy, field)
        key = field.removesuffix("_s")
        if key != field:
            found[field] = table.duration(key, default=default)
        elif isinstance(default, int):
            found[field] = table.whole(key, default=default)
        else:
            found[field] = table.number(key, default=default)
    table.done()
    if table.has_faults:
        return policy
    try:
        return policy.but(**found)
    except ValueError as error:  # it begins with the field
        field, _, rest = str(error).partition(" ")
        table.fault(field.removesuffix("_s"), rest)
        return policy
