"""`python -m conduit_load URL`: a phase of load on a Conduit that runs. Exit code 1 if something was wrong."""

import argparse
import asyncio
import json
import sys
import time

from conduit_load.load import Load
from conduit_load.memory import World
from conduit_load.tally import Tally


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m conduit_load", description=__doc__)
    parser.add_argument("url", help="of Conduit, without /api")
    parser.add_argument("--rate", type=float, default=50.0, help="people a second who begin to do something (default 50)")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the phase (default 20)")
    parser.add_argument("--people", type=int, default=40, help="who register before (default 40)")
    parser.add_argument("--seed", type=int, default=1, help="of chance (default 1)")
    arguments = parser.parse_args()
    tally = asyncio.run(run(arguments))
    for text in tally.told:
        sys.stderr.write(f"{text}\n")
    return 0 if tally.is_clean else 1


async def run(arguments: argparse.Namespace) -> Tally:
    load = Load(arguments.url, World(f"{int(time.time()):x}-"), seed=arguments.seed)
    tally = Tally()
    try:
        await load.settle(tally, arguments.people)
        tally.begin_timing()
        seconds = await load.run(tally, rate=arguments.rate, seconds=arguments.seconds)
        tally.end_timing(seconds)
        await load.audit(tally)
    finally:
        load.close()
    sys.stdout.write(json.dumps(tally.phase("load"), indent=2) + "\n")
    return tally


if __name__ == "__main__":
    sys.exit(main())
