"""Marks from another process: lines of text in, lines of JSON out.

    begin NAME     a phase begins. Answered by {"began": NAME} once there was load without a phase for long enough: wait for it
    end            it has ended. Answered by {"ended": NAME}
    finish         so has the load; the end of the input says the same. Answered by {"report": {...}}

{"running": true} says that the load has begun. A line that is none of these, or comes at the wrong time, is answered by
{"refused": WHY}, and nothing else happens.
"""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

from conduit_load.load import Load, LoadReport


async def follow(load: Load, lines: AsyncIterator[str], tell: Callable[[str], None]) -> LoadReport:
    """tell: gets each answer, a line without its end."""

    def say(**values: object) -> None:
        tell(json.dumps(values))

    say(running=True)
    under_way: str | None = None
    async with AsyncExitStack() as stack:
        async for line in lines:
            match line.split(maxsplit=1):
                case ["begin", name] if under_way is None:
                    await stack.enter_async_context(load.phase(name := name.strip()))
                    say(began=(under_way := name))
                case ["end"] if under_way is not None:
                    await stack.aclose()
                    say(ended=under_way)
                    under_way = None
                case ["finish"] if under_way is None:
                    break
                case []:
                    pass
                case _:
                    state = f"{under_way!r} is under way" if under_way else "no phase is under way"
                    say(refused=f"{line.strip()!r}, and {state}: begin NAME, end, finish")
    report = await load.finish()
    say(report=report.as_dict())
    return report
