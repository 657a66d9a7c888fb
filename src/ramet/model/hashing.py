"""PostgreSQL's own partition hash, in Python: which of 1,024 buckets a key is in, without asking the server. Pure.

The same value is in the same bucket here, in a row filter or a trigger of the server (`ramet.data.slices`), in a table with
`PARTITION BY HASH` and 1,024 partitions, and in PgDog. Source: PostgreSQL 18, hashfn.c (Bob Jenkins' lookup3, on little-endian
machines), hashfunc.c, partbounds.c (`compute_partition_hash_value`), `hash_combine64` in hashfn.h.
"""

from uuid import UUID

BUCKETS = 1024
"""For ever: a bucket moves from shard to shard, and a key never moves from bucket to bucket."""
SEED = 0x7A5B22367996DCFD
"""HASH_PARTITION_SEED."""
COMBINED = 0x49A0F4DD15E5A8E3 & (BUCKETS - 1)
"""What hash_combine64(0, hash) adds, of which the lowest ten bits are all that is left of it here."""
_MASK = 0xFFFFFFFF
_BEGIN = 0x9E3779B9 + 3923095


def bucket_of(key: int | UUID | str) -> int:
    """0 to 1023. int: as int2, int4 and int8, which hash alike. str: as text in UTF-8 under a deterministic collation.

    Raises OverflowError for an int that no bigint holds.
    """
    if isinstance(key, str):
        mixed = hash_bytes(key.encode())
    elif isinstance(key, UUID):
        mixed = hash_bytes(key.bytes)
    else:
        mixed = hash_int(key)
    return ((mixed & (BUCKETS - 1)) + COMBINED) & (BUCKETS - 1)


def hash_int(value: int, seed: int = SEED) -> int:
    """hashint8extended, as an unsigned number."""
    if not -(2**63) <= value < 2**63:
        raise OverflowError(f"{value} is no bigint")
    high = (value >> 32) & _MASK
    low = (value & _MASK) ^ (high if value >= 0 else ~high & _MASK)
    a, b, c = _begin(4, seed)
    return _final((a + low) & _MASK, b, c)


def hash_bytes(data: bytes, seed: int = SEED) -> int:
    """hash_any_extended, as an unsigned number: of a text's UTF-8, or the 16 bytes of a uuid."""
    a, b, c = _begin(len(data), seed)
    at, left = 0, len(data)
    while left >= 12:
        a, b, c = _mix(
            (a + int.from_bytes(data[at : at + 4], "little")) & _MASK,
            (b + int.from_bytes(data[at + 4 : at + 8], "little")) & _MASK,
            (c + int.from_bytes(data[at + 8 : at + 12], "little")) & _MASK,
        )
        at += 12
        left -= 12
    a += int.from_bytes(data[at : at + 4], "little")
    b += int.from_bytes(data[at + 4 : at + 8], "little")
    c += int.from_bytes(data[at + 8 :], "little") << 8  # its lowest byte is the length's
    return _final(a & _MASK, b & _MASK, c & _MASK)


def _begin(length: int, seed: int) -> tuple[int, int, int]:
    start = (_BEGIN + length) & _MASK
    return _mix((start + (seed >> 32)) & _MASK, (start + (seed & _MASK)) & _MASK, start) if seed else (start, start, start)


def _turned(value: int, by: int) -> int:
    return ((value << by) | (value >> (32 - by))) & _MASK


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    a = ((a - c) & _MASK) ^ _turned(c, 4)
    c = (c + b) & _MASK
    b = ((b - a) & _MASK) ^ _turned(a, 6)
    a = (a + c) & _MASK
    c = ((c - b) & _MASK) ^ _turned(b, 8)
    b = (b + a) & _MASK
    a = ((a - c) & _MASK) ^ _turned(c, 16)
    c = (c + b) & _MASK
    b = ((b - a) & _MASK) ^ _turned(a, 19)
    a = (a + c) & _MASK
    c = ((c - b) & _MASK) ^ _turned(b, 4)
    b = (b + a) & _MASK
    return a, b, c


def _final(a: int, b: int, c: int) -> int:
    c = ((c ^ b) - _turned(b, 14)) & _MASK
    a = ((a ^ c) - _turned(c, 11)) & _MASK
    b = ((b ^ a) - _turned(a, 25)) & _MASK
    c = ((c ^ b) - _turned(b, 16)) & _MASK
    a = ((a ^ c) - _turned(c, 4)) & _MASK
    b = ((b ^ a) - _turned(a, 14)) & _MASK
    c = ((c ^ b) - _turned(b, 24)) & _MASK
    return (b << 32) | c
