"""`python -m conduit_load URL`: load on a Conduit that runs. Exit code 1 if something was wrong.

Prints the load as JSON. With --marks it goes on until it is told to finish, and its input says what is done to Conduit meanwhile,
see marks.py.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from conduit_load import marks
from conduit_load.load import Load, LoadReport
from ramet.testing.history import Promise, save


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m conduit_load", description=__doc__)
    parser.add_argument("url", help="of Conduit, without /api")
    parser.add_argument("--rate", type=float, default=50.0, help="people a second who begin to do something (default 50)")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the load without --marks (default 20)")
    parser.add_argument("--people", type=int, default=40, help="who register before (default 40)")
    parser.add_argument("--seed", type=int, default=1, help="of chance (default 1)")
    parser.add_argument("--marks", action="store_true", help="take marks of phases from the input")
    parser.add_argument("--window", type=float, default=10.0, help="seconds around a phase to compare with (default 10)")
    parser.add_argument("--promise", choices=list(Promise), default=Promise.REAL_TIME, help="how new reads are (real-time)")
    parser.add_argument("--save", type=Path, metavar="FILE", help="keep the history, as JSON lines")
    arguments = parser.parse_args()
    report = asyncio.run(run(arguments))
    sys.stderr.write(f"{report.table()}\n{report.found.text()}\n")
    return 0 if report.is_clean else 1


async def run(arguments: argparse.Namespace) -> LoadReport:
    load = Load(
        arguments.url,
        rate=arguments.rate,
        people=arguments.people,
        seed=arguments.seed,
        window_s=arguments.window,
        promise=Promise(arguments.promise),
    )
    try:
        async with load:
            if arguments.marks:
                return await marks.follow(load, _lines(), _tell)
            await asyncio.sleep(arguments.seconds)
            report = await load.finish()
            _tell(json.dumps(report.total.as_dict(), indent=2))
            return report
    finally:
        if arguments.save:
            save(arguments.save, load.world.history, load.final)


async def _lines() -> AsyncIterator[str]:
    """Of the input, until its end."""
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        while line := await reader.readline():
            yield line.decode(errors="replace")
    finally:
        transport.close()


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
