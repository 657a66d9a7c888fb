"""Sizes of memory as people write them: `512MB`, `1.5GB`, or a number of bytes. Powers of 1024, as `ramet status` shows them."""

import math
import re

_UNITS = {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}


def parse_size_bytes(text: str) -> int:
    """Raises ValueError for what is no size, or none at all; the message says what is accepted."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGT]?B)", text, re.ASCII)
    size = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if not 1 <= size < math.inf:
        raise ValueError(f"{text!r} is not a size; write it as '512MB' or '1.5GB'")
    return int(size)
