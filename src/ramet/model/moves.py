"""From one topology to another with the same code: extract, absorb, scale, and any mixture of them. Pure.

start new services, and more of those that stay - have old instances host what comes to them - compare contracts - shift
5, 25, 50, 100 % with a gate at each, for each pair of services - hand over what has one owner - drop - stop
"""

from collections.abc import Iterable

from ramet.model.routing import service_of
from ramet.model.shifting import MOVE_GATE_S, ladder, owners
from ramet.model.steps import AnyStep, Compare, Drop, Host, Start, Stop
from ramet.model.system import System, fresh_names
from ramet.model.wanted import Wanted


def moves(running: System, wanted: Wanted) -> list[AnyStep]:
    made = _Moves(running, wanted)
    made.start()
    made.host()
    made.shift()
    made.hand_over()
    made.drop()
    made.stop()
    return made.steps


class _Moves:
    """The steps so far, and the system as it is after them."""

    def __init__(self, running: System, wanted: Wanted) -> None:
        self.steps: list[AnyStep] = []
        self._state = running
        self._old = running.services
        self._wanted = wanted
        homes = {module: service_of(name) for module, shares in running.shares.items() for name in shares}
        self._moving: dict[tuple[str, str], list[str]] = {}
        for service in wanted.services.values():
            for module in service.modules:
                if homes[module] != service.service:
                    pair = (self._old[homes[module]].place, service.place)
                    self._moving.setdefault(pair, []).append(module)
        self._ending: dict[str, tuple[str, ...]] = {}
        """Place -> the instances of it that are not wanted any more."""
        for service in self._old.values():
            names = tuple(each.instance for each in running.at(service.place))
            if ending := names[wanted.kept(service.service) :]:
                self._ending[service.place] = ending
        self._leaving = {name for names in self._ending.values() for name in names}

    def _take(self, steps: Iterable[AnyStep]) -> None:
        for step in steps:
            self._state = step.after(self._state)
            self.steps.append(step)

    def start(self) -> None:
        names = [each.instance for each in self._state.instances]
        for service in self._wanted.services.values():
            before = self._old.get(service.service)
            count = service.instances - (before.instances if before else 0)
            if count > 0:
                fresh = fresh_names(service.service, count, names)
                modules = tuple(sorted((before or service).modules))
                why = f"{service.service} is to have {service.instances}" if before else "its modules come to it"
                self._take([Start(place=service.place, instances=fresh, modules=modules, why=why)])

    def host(self) -> None:
        for service in self._wanted.services.values():
            gained = tuple(each for each in service.modules if each not in self._old.get(service.service, service).modules)
            if gained:
                at = tuple(each.instance for each in self._state.at(service.place))
                self._take([Host(place=service.place, instances=at, modules=gained, why="before it is called there")])

    def shift(self) -> None:
        for (source, target), modules in self._moving.items():
            why = "what callers know must be what they meet"
            self._take([Compare(modules=tuple(modules), old=source, new=target, why=why)])
            self._take(ladder(dict.fromkeys(modules, (source, target)), seconds=MOVE_GATE_S, holds=False))

    def hand_over(self) -> None:
        targets = {module: target for (_, target), modules in self._moving.items() for module in modules}
        self._take(owners(self._state, self._leaving, targets))

    def drop(self) -> None:
        for service in self._old.values():
            lost = tuple(each for each in service.modules if self._wanted.home_of(each) != service.service)
            staying = tuple(each.instance for each in self._state.at(service.place) if each.instance not in self._leaving)
            if lost and staying:
                self._take([Drop(place=service.place, instances=staying, modules=lost, why="nothing calls it there any more")])

    def stop(self) -> None:
        for place, names in self._ending.items():
            modules = tuple(sorted(self._old[service_of(place)].modules))
            self._take([Stop(place=place, instances=names, modules=modules, why="they are not wanted any more")])
