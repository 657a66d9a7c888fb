"""When schedules run, on whose word, and how they stop; time is virtual here, and the database a fake (see tests/data)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ramet import DeadlineExceeded
from ramet.model.routing import RoutingTable
from ramet.model.schedule import first_due_s, next_due_s
from ramet.module import Module
from ramet.observe import names
from ramet.observe.record import Recorder
from tests.process.schedule_support import Shared, now, run, schedules_of, table


def shop(work: Callable[[], Awaitable[None]], *, period: float = 10, deadline: float = 5) -> Module:
    module = Module("shop")

    @module.every(period, deadline=deadline)
    async def sweep() -> None:
        await work()

    return module


# Decisions

BEATS = {
    "right after a short run": ((0, 10, 0.1), (10, 0)),
    "at the end of a run of nearly a period": ((0, 10, 9.99), (10, 0)),
    "exactly at a beat, which has passed": ((0, 10, 10), (20, 1)),
    "after two and a half periods": ((0, 10, 25), (30, 2)),
    "on a grid that does not begin at zero": ((3, 10, 24), (33, 2)),
    "before it was due": ((5, 10, 4), (15, 0)),
}


@pytest.mark.parametrize("claim", BEATS)
def test_the_next_run_is_at_the_next_beat_that_is_to_come(claim: str) -> None:
    """Counted from start to start; those that passed are dropped."""
    (due, period_s, at), (expected, missed) = BEATS[claim]
    assert next_due_s(due, period_s, at) == (pytest.approx(expected), missed)


@given(st.floats(0, 1e6), st.floats(0.1, 1e5), st.floats(0, 1e7))
def test_the_next_beat_is_always_to_come_and_at_most_a_period_away(due: float, period_s: float, late_s: float) -> None:
    """Whatever floating point makes of it."""
    at = due + late_s
    following, missed = next_due_s(due, period_s, at)
    assert at < following <= at + period_s * 1.000001
    assert missed >= 0


@pytest.mark.parametrize(("age_s", "expected"), [(None, 100), (0, 110), (4, 106), (10, 100), (99, 100), (-1, 111)], ids=str)
def test_who_takes_over_goes_on_in_step(age_s: float | None, expected: float) -> None:
    """At once where it is overdue, or has never run."""
    assert first_due_s(100, 10, age_s) == expected


# Beats


def test_a_schedule_runs_at_once_and_then_once_a_period() -> None:
    """From start to start: how long a run takes does not shift the next."""
    began: list[float] = []

    async def work() -> None:
        began.append(now())
        await asyncio.sleep(3)

    async def main() -> None:
        schedules = schedules_of(shop(work))
        await schedules.take(table("a", 1))
        await asyncio.sleep(35)
        await schedules.close()
        assert began == pytest.approx([0, 10, 20, 30], abs=1e-3)

    run(main())


def test_a_run_never_meets_itself_and_the_beats_it_misses_are_dropped() -> None:
    """They are counted, not queued."""
    began: list[float] = []
    running = 0
    at_once: list[int] = []

    async def work() -> None:
        nonlocal running
        running += 1
        at_once.append(running)
        began.append(now())
        await asyncio.sleep(25)
        running -= 1

    async def main() -> None:
        recorder = Recorder()
        schedules = schedules_of(shop(work, deadline=60), recorder=recorder)
        await schedules.take(table("a", 1))
        await asyncio.sleep(70)
        assert began == pytest.approx([0, 30, 60], abs=1e-3)
        assert at_once == [1, 1, 1]
        assert recorder.counter(names.BEATS_MISSED, module="shop", schedule="sweep").value == 4
        await schedules.close(within_s=60)

    run(main())


def test_two_schedules_of_a_module_do_not_wait_for_each_other() -> None:
    """A slow one has the time that it has."""
    began: list[str] = []
    module = Module("shop")

    @module.every("10s", deadline="1m")
    async def slow() -> None:
        began.append("slow")
        await asyncio.sleep(50)

    @module.every("10s")
    async def quick() -> None:
        began.append("quick")

    async def main() -> None:
        schedules = schedules_of(module, shared=Shared())
        await schedules.take(table("a", 1))
        await asyncio.sleep(45)
        assert began == ["slow", *["quick"] * 5]
        await schedules.close()

    run(main())


def test_a_run_that_raises_is_told_and_the_schedule_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """With its stack in the log, its type in the metrics, and in what the instance says of itself."""
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise LookupError("nothing to sweep")
        if runs == 2:
            await asyncio.sleep(60)

    async def main() -> None:
        recorder = Recorder()
        schedules = schedules_of(shop(work), recorder=recorder)
        await schedules.take(table("a", 7))
        await asyncio.sleep(5)
        (status,) = schedules.statistics()
        assert (status.module, status.name, status.epoch) == ("shop", "sweep", 7)
        assert (status.runs, status.failed, status.last_error) == (1, 1, "LookupError")
        await asyncio.sleep(20)
        (status,) = schedules.statistics()
        assert (status.runs, status.failed, status.last_error) == (3, 2, "")
        series = recorder.series(names.JOB, module="shop", schedule="sweep")
        assert set(series.cells) == {"", "LookupError", DeadlineExceeded.__name__}
        assert [record.duration_s for record in recorder.records()] == pytest.approx([0, 5, 0], abs=1e-3)
        await schedules.close()

    with caplog.at_level(logging.INFO, "ramet"):
        run(main())
    told = [record for record in caplog.records if record.getMessage() == "run"]
    assert [record.levelname for record in told] == ["ERROR", "ERROR", "INFO"]
    assert "nothing to sweep" in str(told[0].exc_info)


def test_a_plain_function_runs_in_a_thread_and_is_waited_for_beyond_its_deadline() -> None:
    """A thread cannot be stopped, and two at once must not be. In real time: a thread does not know of virtual time."""
    module = Module("shop")
    running: list[int] = []
    at_once: list[int] = []
    done = 0

    async def main() -> None:
        release = asyncio.Event()
        loop = asyncio.get_running_loop()

        @module.every("100ms", deadline="10ms")
        def sweep() -> None:
            nonlocal done
            running.append(1)
            at_once.append(len(running))
            asyncio.run_coroutine_threadsafe(release.wait(), loop).result(5)
            running.pop()
            done += 1

        schedules = schedules_of(module)
        await schedules.take(table("a", 1))
        ending: asyncio.Task[None] | None = None
        async with asyncio.timeout(10):
            while not running:
                await asyncio.sleep(0.01)
            ending = asyncio.create_task(schedules.take(table("", 2)))
            done_s, _ = await asyncio.wait([ending], timeout=0.05)
            assert not done_s
            release.set()
            await ending
        assert (done, at_once) == (1, [1])
        await schedules.close()

    asyncio.run(main())


# Whose they are


def test_only_the_instance_that_the_table_names_runs_them() -> None:
    """Nobody does before a table came, and nobody for an empty owner."""
    ran: list[str] = []

    async def main() -> None:
        instances = {
            name: schedules_of(shop(lambda name=name: note(name), period=1), name, shared)
            for name in ("a", "b")
            for shared in [None]
        }

        async def tell(owner: str, epoch: int) -> None:
            for each in instances.values():
                await each.take(table(owner, epoch))
            await asyncio.sleep(3.5)

        await asyncio.sleep(5)
        assert ran == []
        await tell("a", 1)
        assert set(ran) == {"a"}
        await tell("", 2)
        ran.clear()
        await asyncio.sleep(5)
        assert ran == []
        assert [each.statistics() for each in instances.values()] == [[], []]
        await tell("b", 3)
        assert set(ran) == {"b"}
        for each in instances.values():
            await each.take(RoutingTable(4, {}))
        ran.clear()
        await asyncio.sleep(5)
        assert ran == []
        for each in instances.values():
            await each.close()

    async def note(name: str) -> None:
        ran.append(name)

    run(main())


def test_taking_a_table_returns_when_the_run_in_hand_is_over() -> None:
    """Then the controller may name the next owner. Who gave up waiting may ask again, and the run is not cut short."""
    ended: list[float] = []

    async def work() -> None:
        await asyncio.sleep(3)
        ended.append(now())

    async def main() -> None:
        schedules = schedules_of(shop(work))
        await schedules.take(table("a", 1))
        await asyncio.sleep(1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await schedules.take(table("", 2))
        await schedules.wait_settled()
        assert ended == [pytest.approx(3, abs=1e-3)]
        assert now() == pytest.approx(3, abs=1e-3)
        await schedules.close()

    run(main())


def test_a_run_that_is_late_is_cancelled_and_then_given_away() -> None:
    """So handing over takes no longer than the deadline."""

    async def main() -> None:
        schedules = schedules_of(shop(lambda: asyncio.sleep(1000)))
        await schedules.take(table("a", 1))
        await asyncio.sleep(1)
        await schedules.take(table("b", 2))
        assert now() == pytest.approx(5, abs=1e-3)
        await schedules.close()

    run(main())


def test_between_two_runs_there_is_nothing_to_wait_for() -> None:
    """However long the period."""

    async def main() -> None:
        schedules = schedules_of(shop(lambda: asyncio.sleep(0), period=86400), shared=Shared())
        await schedules.take(table("a", 1))
        await asyncio.sleep(1)
        await schedules.take(table("", 2))
        assert now() == pytest.approx(1, abs=1e-3)
        await schedules.close()

    run(main())


def test_closing_waits_as_long_as_it_is_told_and_then_cancels() -> None:
    """An instance that leaves has a grace of its own."""
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(4)
            ended.append("in time")
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async def main() -> None:
        for within_s in (10, 1):
            schedules = schedules_of(shop(work), shared=Shared())
            await schedules.take(table("a", 1))
            await asyncio.sleep(0.5)
            await schedules.close(within_s=within_s)
        assert ended == ["in time", "cancelled"]

    run(main())


# Modules that come and go


def test_a_module_that_comes_later_is_owned_if_the_newest_table_says_so() -> None:
    """A live move hosts a module before, and gives it away after."""
    began: list[float] = []

    async def work() -> None:
        began.append(now())

    async def main() -> None:
        schedules = schedules_of(Module("other"))
        await schedules.take(table("a", 3))
        await asyncio.sleep(1)
        schedules.host(shop(work), None)
        await asyncio.sleep(1)
        assert began == [pytest.approx(1, abs=1e-3)]
        assert await schedules.drop("shop", 1)
        await schedules.take(table("a", 4))
        await asyncio.sleep(60)
        assert len(began) == 1
        await schedules.close()

    run(main())


def test_a_module_whose_run_is_in_hand_is_not_dropped_and_goes_on() -> None:
    """As requests and calls that do not end in time keep it, too."""
    ended: list[float] = []

    async def work() -> None:
        await asyncio.sleep(4)
        ended.append(now())

    async def main() -> None:
        schedules = schedules_of(shop(work), shared=Shared())
        await schedules.take(table("a", 1))
        await asyncio.sleep(1)
        assert not await schedules.drop("shop", 2)
        await asyncio.sleep(20)
        assert ended == pytest.approx([4, 14], abs=1e-2)
        assert await schedules.drop("shop", 5)
        assert ended == pytest.approx([4, 14, 24], abs=1e-2)
        await schedules.close()

    run(main())


# The fence


def test_an_owner_whose_epoch_is_over_stops_by_itself() -> None:
    """It goes on with its old table, because it was cut off; the database tells it. The log says so once."""
    began: list[str] = []

    async def main() -> None:
        shared = Shared()
        old = schedules_of(shop(lambda: note("a")), "a", shared)
        new = schedules_of(shop(lambda: note("b")), "b", shared)
        await old.take(table("a", 1))
        await asyncio.sleep(15)
        await new.take(table("b", 2))
        await asyncio.sleep(30)
        assert began == ["a", "a", "b", "b", "b"]
        assert old.statistics() == []
        assert len(new.statistics()) == 1
        await old.take(table("a", 1))  # the old table again changes nothing
        await old.close()
        await new.close()

    async def note(name: str) -> None:
        began.append(name)

    run(main())


def test_an_owner_whose_database_is_down_begins_within_two_seconds_of_its_return() -> None:
    """Both when it is to take over and when it is to run."""
    began: list[float] = []

    async def work() -> None:
        began.append(now())

    async def main() -> None:
        shared = Shared(is_down=True)
        schedules = schedules_of(shop(work, period=60), shared=shared)
        await schedules.take(table("a", 1))
        await asyncio.sleep(30)
        shared.is_down = False
        await asyncio.sleep(2)
        assert began == [pytest.approx(30, abs=2)]
        shared.is_down = True
        await asyncio.sleep(100)
        shared.is_down = False
        await asyncio.sleep(2)
        assert len(began) == 2
        assert began[1] == pytest.approx(132, abs=2)
        await schedules.close()

    run(main())


@settings(max_examples=200, deadline=None)
@given(
    owners=st.lists(st.sampled_from(["a", "b", "c", ""]), min_size=1, max_size=6),
    deliveries=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5), st.floats(0, 2)), max_size=25),
    takes_s=st.sampled_from([0.0, 0.5, 1.5, 3.0, 4.5]),
)
@example(owners=["a", "b"], deliveries=[("a", 0, 0.5), ("b", 1, 2.0)], takes_s=3.0)  # the old owner is in a run, and not told
def test_at_no_instant_are_there_two_owners(owners: list[str], deliveries: list[tuple[str, int, float]], takes_s: float) -> None:
    """Whichever tables reach whom, in whatever order, late, or never; and no epoch runs after a newer one."""
    running: list[str] = []
    wrong: list[str] = []  # an assert inside of a run would be a run that raises
    epochs: list[int] = []

    async def main() -> None:
        shared = Shared()

        async def work(name: str) -> None:
            if running or shared.instance != name:
                wrong.append(f"{name} begins while {running} run, {shared.instance} is the owner")
            running.append(name)
            epochs.append(shared.epoch)
            await asyncio.sleep(takes_s)
            running.remove(name)

        instances = {n: schedules_of(shop(lambda n=n: work(n), period=1), n, shared) for n in "abc"}
        tables = [table(owner, epoch) for epoch, owner in enumerate(owners, 1)]
        known = dict.fromkeys(instances, 0)
        for name, number, pause_s in deliveries:
            wanted = tables[number % len(tables)]
            if wanted.epoch > known[name]:  # as `Calls.route` has it
                known[name] = wanted.epoch
                await instances[name].take(wanted)
            await asyncio.sleep(pause_s)
        for name, each in instances.items():
            if tables[-1].epoch > known[name]:
                await each.take(tables[-1])
        await asyncio.sleep(10)
        assert sum(len(each.statistics()) for each in instances.values()) == bool(owners[-1])
        assert wrong == []
        assert epochs == sorted(epochs)
        for each in instances.values():
            await each.close()

    run(main())
