"""Numbers as a verdict's sentence shows them."""

import math


def percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def e_value(log_e: float) -> str:
    """To three digits; those that outgrow a float as a power of ten."""
    return f"{math.exp(log_e):.3g}" if log_e < math.log(1e6) else f"10^{log_e / math.log(10):.0f}"
