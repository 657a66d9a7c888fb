"""More and fewer instances by what is measured: each service that has a range in ramet.toml is looked at once a second, and what
`model.autoscale` decides becomes a plan like any other, whose title says why.

Nothing is remembered on disk: a controller that takes over measures anew, and shrinks nothing before a whole window has passed.
While a plan is under way, whoever began it, nothing is measured: half-started instances are no basis for a decision.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from ramet.errors import ConfigError, PlanBusy, RametError
from ramet.model.autoscale import ENOUGH, Limits, Measured, Watched, decide
from ramet.model.control import Counters
from ramet.model.measuring import Reading, measure
from ramet.model.system import Deployed
from ramet.model.wishes import Wish
from ramet.operate.keeper import SILENT, Keeper
from ramet.operate.live import LiveWorld
from ramet.operate.plans import Plans
from ramet.process import control

logger = logging.getLogger("ramet.operate")

TICK_S = 1.0


class Autoscaler:
    """limits: of the services that run, as ramet.toml has them now; raises ConfigError. apply: begins a plan."""

    def __init__(
        self,
        world: LiveWorld,
        plans: Plans,
        *,
        limits: Callable[[], Mapping[str, Limits]],
        apply: Callable[[Wish], Awaitable[int]],
        report: Callable[[str], None],
    ) -> None:
        self._world = world
        self._plans = plans
        self._limits = limits
        self._apply = apply
        self._report = report
        self._watched: dict[str, Watched] = {}
        self._readings: dict[str, Reading] = {}
        self._said: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<Autoscaler of {', '.join(self._watched) or 'nothing'}>"

    async def run(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                limits = self._limits()
            except ConfigError as error:  # somebody is writing it
                self._say("", f"not scaled: {error.message}")
                continue
            if self._is_free():
                await self._look(limits)

    def _is_free(self) -> bool:
        try:
            self._plans.check_free()
        except PlanBusy:
            return False
        return True

    async def _look(self, limits: Mapping[str, Limits]) -> None:
        services = self._world.system.services
        for gone in set(self._watched) - (services.keys() & limits.keys()):
            del self._watched[gone]
        for name in services.keys() & limits.keys():
            measured = await self._measure(services[name])
            if not self._is_free() or self._world.system.services != services:
                return  # measured across a change
            watched, decision = decide(self._watched.get(name, Watched()), measured, limits[name])
            self._watched[name] = watched
            if decision.wanted != measured.instances:
                await self._begin(name, decision.wanted, decision.why, measured.at_s)
                return  # one plan at a time
            if not measured.missing:
                self._said.pop(f"{name} is missing", None)
            elif len(watched.measured) >= ENOUGH and all(each.missing for each in watched.measured):
                self._say(f"{name} is missing", f"{name}: {decision.why}")

    async def _begin(self, service: str, wanted: int, why: str, at_s: float) -> None:
        try:
            plan = await self._apply(Wish(scale=service, instances=wanted, why=why))
        except PlanBusy:
            return  # a person was first; the next look sees what came of it
        except RametError as error:  # it cannot be, or the database is away: tried again after the cool-down
            self._say(service, f"{service} should have {wanted} instances ({why}): {error.message}")
        else:
            self._said.pop(service, None)
            self._report(f"plan {plan}: {service} gets {wanted} instances: {why}")
        self._watched[service] = self._watched[service].changed(at_s)

    def _say(self, subject: str, text: str) -> None:
        """Once, until there is something else to say."""
        if self._said.get(subject) != text:
            self._said[subject] = text
            logger.warning("autoscaler", extra={"said": text})
            self._report(text)

    async def _measure(self, service: Deployed) -> Measured:
        names = [each.instance for each in self._world.system.at(service.place)]
        answers = await asyncio.gather(*(_read(self._world.keepers.get(name)) for name in names))
        now = dict(zip(names, answers, strict=True))
        measured = measure(asyncio.get_running_loop().time(), self._readings, now)
        for name, reading in now.items():
            if isinstance(reading, str):
                self._readings.pop(name, None)
            else:
                self._readings[name] = reading
        return measured


async def _read(keeper: Keeper | None) -> Reading | str:
    """Or why it cannot be counted in."""
    if keeper is None:
        return "is not there"
    clock = asyncio.get_running_loop().time
    try:
        counters: Counters = await keeper.call(control.counters)
        status = await keeper.ask()
    except SILENT:
        return "does not answer"
    if status.state != "ready":
        return f"is {status.state}"
    return Reading(clock(), status, sum(each.requests for each in counters.modules.values()))
