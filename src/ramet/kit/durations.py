"""Durations as people write them: `250ms`, `5s`, `1m30s`, or a number of seconds."""

import re
import sys

_UNITS_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST_S = sys.float_info.max
_PART = r"(\d+(?:\.\d+)?)(us|ms|s|m|h|d)"


def parse_duration_s(text: str | float) -> float:
    """Return seconds. A bare number is seconds already.

    Raises:
        ValueError: not a duration, or negative; the message says what is accepted.
    """
    if isinstance(text, bool) or not isinstance(text, (str, int, float)):  # pyright: ignore[reportUnnecessaryIsInstance]  (called with users' values)
        raise ValueError(  # noqa: TRY004  (callers turn one error into their own)
            f"a duration is a text such as '250ms' or a number of seconds, not {text!r}"
        )
    if not isinstance(text, str):
        return _finite(text, text)
    compact = text.replace(" ", "")
    parts = re.findall(_PART, compact)
    if parts and "".join(number + unit for number, unit in parts) == compact:
        return _finite(sum(float(number) * _UNITS_S[unit] for number, unit in parts), text)
    try:
        seconds = float(compact)
    except ValueError:
        raise ValueError(f"{text!r} is not a duration; write it as '250ms', '5s', '1m30s' or a number of seconds") from None
    return _finite(seconds, text)


def _finite(seconds: float, given: object) -> float:
    if not 0 <= seconds <= _LONGEST_S:
        raise ValueError(f"{given!r} is not a duration: it must be finite and not negative")
    return float(seconds)


def format_duration(seconds: float) -> str:
    """Three ranges: under a millisecond in us, under a second in ms, above in s. To at least three digits."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f}us"
    if seconds < 1:
        return f"{seconds * 1e3:.4g}ms"
    return f"{seconds:.4g}s" if seconds < 1000 else f"{seconds:.0f}s"
