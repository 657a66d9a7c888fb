"""A store that keeps its word, used by clients at the same time, and the history they recorded of it.

Each write takes effect at one instant. Each read shows the store as it is at one instant; with replicas, as it was at an earlier one,
but not before what its client wrote or saw.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ramet.testing.history import History, Operation, Outcome, Seen, Some, Value

REGISTERS = ("title", "price")
SETS = ("orders", "likes")


class Chance(random.Random):
    """Its repr is what makes it again."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._seed = seed

    def __repr__(self) -> str:
        return f"Chance({self._seed})"


State = dict[str, Value | tuple[str, ...]]
EMPTY: State = {**dict.fromkeys(REGISTERS), **dict.fromkeys(SETS, ())}


@dataclass
class Plan:
    """A request before it ran. effect_s: when it takes effect, None for never. shows: what an answer tells of a state."""

    operation: Operation
    effect_s: float | None
    shows: dict[str, Callable[[Value | tuple[str, ...]], Seen]] = field(default_factory=dict)


def run(chance: random.Random, *, replicas: bool = False, clients: int = 3, requests: int = 8) -> tuple[History, State]:
    """The history and the final state."""
    plans = _Planner(chance).plan(clients, requests)
    return history_of(*play(plans, chance, replicas=replicas))


def history_of(operations: list[Operation], final: State) -> tuple[History, State]:
    history = History(clock=lambda: 0.0)
    for operation in operations:
        history.append(operation)
    return history, final


def play(plans: list[Plan], chance: random.Random, *, replicas: bool) -> tuple[list[Operation], State]:
    """In the order in which they take effect."""
    log: list[State] = [EMPTY]
    known: dict[str | None, int] = {}
    done: list[Operation] = []
    for plan in sorted(plans, key=lambda each: each.operation.invoked_s if each.effect_s is None else each.effect_s):
        operation, client = plan.operation, plan.operation.client
        if plan.effect_s is not None:
            log.append(after(log[-1], operation))
        if operation.outcome is Outcome.OK:
            oldest = known.get(client, 0) if replicas and operation.kind == "read" else len(log) - 1
            known[client] = chance.randint(oldest, len(log) - 1)
            operation = replace(operation, reads={key: show(log[known[client]][key]) for key, show in plan.shows.items()})
        done.append(operation)
    return done, log[-1]


def after(state: State, operation: Operation) -> State:
    state = {**state, **operation.sets}
    for key, tokens in operation.adds.items():
        state[key] = tuple(dict.fromkeys((*tokens_of(state, key), *tokens)))
    for key, tokens in operation.removes.items():
        state[key] = tuple(token for token in tokens_of(state, key) if token not in tokens)
    return state


def tokens_of(state: State, key: str) -> tuple[str, ...]:
    tokens = state[key]
    assert isinstance(tokens, tuple)
    return tokens


class _Planner:
    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._made = 0
        self._tokens: list[str] = []

    def plan(self, clients: int, requests: int) -> list[Plan]:
        plans: list[Plan] = []
        for client in range(clients):
            clock_s = client / 10  # so that hardly two things happen at once
            for _ in range(requests):
                invoked_s = clock_s + self._chance.randint(1, 4)
                clock_s = invoked_s + self._chance.randint(1, 6)
                plans.append(self._one(f"client-{client}", invoked_s, clock_s))
        return plans

    def _one(self, client: str, invoked_s: float, returned_s: float) -> Plan:
        chance = self._chance
        self._made += 1
        outcome = chance.choices([Outcome.OK, Outcome.FAILED, Outcome.UNKNOWN], [8, 1, 1])[0]
        operation = Operation(client, f"request {self._made}", invoked_s, invoked_s, returned_s, outcome)
        shows: dict[str, Callable[[Value | tuple[str, ...]], Seen]] = {}
        match chance.choice(["set", "set", "add", "add", "remove", "read", "read", "read"]):
            case "set":
                value = chance.choice([f"value {self._made}", True, False])
                operation = replace(operation, sets={chance.choice(REGISTERS): value})
            case "add":
                self._tokens.append(f"token {self._made}")
                operation = replace(operation, adds={chance.choice(SETS): (self._tokens[-1],)})
            case "remove" if self._tokens:
                operation = replace(operation, removes={chance.choice(SETS): (chance.choice(self._tokens),)})
            case _:
                shows = {chance.choice(REGISTERS): lambda value: value}
                for key in SETS:
                    shows[key] = chance.choice([lambda tokens: tokens, self._some])
        until_s = returned_s if outcome is Outcome.OK else invoked_s + 40
        effect_s = chance.uniform(invoked_s, until_s)
        is_nothing = outcome is Outcome.FAILED or (outcome is Outcome.UNKNOWN and chance.random() < 0.5)
        return Plan(operation, None if is_nothing else effect_s, shows)

    def _some(self, tokens: Value | tuple[str, ...]) -> Seen:
        assert isinstance(tokens, tuple)
        asked = self._tokens[:3]
        has = tuple(token for token in asked if token in tokens)
        return Some(has, tuple(token for token in asked if token not in tokens), len(tokens))
