"""An instance in a process of its own, for faults that only a process can have: `python -m tests.calls.worker NAME FOLDER`.

Hosts `ledger`, whose calls write what they did to FOLDER/NAME.ran before they answer. Prints its address, then serves until its
standard input ends.
"""

import asyncio
import os
import sys
from pathlib import Path

import msgspec

from ramet import Module
from ramet.calls.runtime import Calls
from ramet.settings import Settings

ledger = Module("ledger")
shop = Module("shop", uses=["ledger"])
FOLDER = Path(sys.argv[2]) if len(sys.argv) > 2 else Path()
NAME = sys.argv[1] if len(sys.argv) > 1 else ""


def note(what: str) -> None:
    with (FOLDER / f"{NAME}.ran").open("a") as file:
        file.write(what + "\n")


@ledger.expose(deadline="2s")
async def write(number: int, wait_ms: int = 0) -> str:
    """Not idempotent: it must not run twice."""
    note(str(number))
    if wait_ms:
        await asyncio.sleep(wait_ms / 1000)
    return NAME


@ledger.expose(idempotent=True, deadline="2s")
async def read(number: int, wait_ms: int = 0) -> str:
    if wait_ms:
        await asyncio.sleep(wait_ms / 1000)
    return NAME


@ledger.expose(idempotent=True, hedge_after="30ms", deadline="2s")
async def hedged(number: int) -> str:
    return NAME


@ledger.expose(deadline="2s")
async def fail_in(name: str) -> str:
    if name == NAME:
        raise RuntimeError(NAME)
    return NAME


async def main() -> None:
    calls = Calls(
        [ledger, shop], local=["ledger"], app="test", service="ledger", instance=NAME, settings=Settings(ping_interval_s=0.5)
    )
    calls.place()
    address = await calls.listen(unix=FOLDER / f"{NAME}.sock")
    sys.stdout.write(msgspec.json.encode(address).decode() + "\n")
    sys.stdout.flush()
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(0, lambda: ended.set() if not os.read(0, 1024) else None)
    await ended.wait()
    await calls.drain(2)
    await calls.close()


if __name__ == "__main__":
    asyncio.run(main())
