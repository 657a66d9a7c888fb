"""Numbers as a verdict's sentence shows them."""

import math


def percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def e_value(log_e: float) -> str:
    """To three digits, or whole; those of a million and more as a power of ten."""
    if log_e >= math.log(1e6):
        return f"10^{log_e / math.log(10):.0f}"
    value = math.exp(log_e)
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
