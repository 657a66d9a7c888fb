"""The one timer: whom it cancels, and when it rests."""

import asyncio
import math

from ramet.data.deadlines import Alarm, is_ours


class Statement:
    def __init__(self, deadline: float, task: "asyncio.Task[None] | None") -> None:
        self.deadline = deadline
        self.task = task
        self.cancelling = -1


def test_only_the_late_are_cancelled_and_the_timer_goes_to_the_next() -> None:
    async def main() -> None:
        now = 100.0
        late, early, idle = (asyncio.create_task(asyncio.sleep(60)) for _ in range(3))
        statements = [Statement(99.0, late), Statement(130.0, early), Statement(1.0, None)]
        alarm = Alarm(statements, clock=lambda: now)
        alarm.arm(99.0)
        await asyncio.sleep(0.002)
        assert alarm.next_at == 130.0
        assert late.cancelling() == 1
        assert early.cancelling() == 0
        await asyncio.gather(late, return_exceptions=True)
        statements[0].task = statements[1].task = None
        alarm.arm(100.0)
        await asyncio.sleep(0.002)
        assert alarm.next_at == math.inf, "nothing is under way: the timer rests"
        for task in (early, idle):
            task.cancel()

    asyncio.run(main())


def test_a_cancellation_by_others_is_not_taken_for_the_deadline() -> None:
    """A task that is cancelled by its deadline and by its owner ends as cancelled, as with asyncio.timeout."""

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        statement = Statement(1.0, task)
        assert not is_ours(statement, task)
        for others, ours in ((0, True), (1, False)):
            statement.cancelling = task.cancelling()
            for _ in range(1 + others):
                task.cancel()
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                assert is_ours(statement, task) is ours
            while task.cancelling():
                task.uncancel()

    asyncio.run(main())
