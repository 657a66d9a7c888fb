"""Passwords as argon2id hashes, computed in threads of their own: one takes as long as a hundred other requests."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_hasher = PasswordHasher(time_cost=4, memory_cost=9 * 1024, parallelism=1)
"""OWASP's third choice, 9 MiB and 4 passes: as hard to guess as the first with 46 MiB, and 17 ms."""
_threads = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="argon2")
"""As many as there are cores: more would only take memory and delay each other."""
_NOBODY = _hasher.hash("nobody has this password")


async def hash_of(password: str) -> str:
    return await asyncio.get_running_loop().run_in_executor(_threads, _hasher.hash, password)


async def is_right(password: str, hashed: str | None) -> bool:
    """hashed: None where there is no such user, which takes as long to find out as a wrong password."""
    right = await asyncio.get_running_loop().run_in_executor(_threads, _verify, hashed or _NOBODY, password)
    return right and hashed is not None


def _verify(hashed: str, password: str) -> bool:
    try:
        return _hasher.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False
