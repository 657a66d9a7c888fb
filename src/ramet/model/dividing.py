"""From a wish about one module's data to steps: split, move, rebalance, isolate, extract, take back, clean up. Pure.

new servers and shards - for each slice that moves: copy, verify, switch - the old side stays a way back, until a plan cleans up
"""

from collections.abc import Sequence

import msgspec

from ramet.errors import PlanImpossible
from ramet.model.data_steps import AddServer, AddShard, Clean, Copy, DataStep, DropShard, RemoveServer, Switch, Verify
from ramet.model.divisions import MAIN, ShardIn, SliceMove, fresh_names, owner_of, split
from ramet.model.replica_steps import AddReplica, FailOver, RemoveReplica, ReplicaStep, Synchronous
from ramet.model.sharding import Between, Buckets, Key, Slice, Whole, key_of, may_meet, problems, reassigned
from ramet.model.system import System

FIRST = "node-1"
"""Name of the first node of a server, its primary unless it was failed over."""
ANEW = -1
"""A shard that is made for it."""


AnyDataStep = DataStep | ReplicaStep


class DataWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One of: shards, how many the module is to have; of, a slice that moves to a shard, `ANEW` for a new one; rebalance; back, a
    move to be taken back, or `last`; clean, a move whose way back is given up, or `all`. server: where a new shard is made, empty
    for a server of its own. replicas: how many each of its servers is to have, with commits that wait for one where synchronous
    says so. fail_over: to the node, or to the best one."""

    module: str
    shards: int = 0
    of: Slice | None = None
    to: int = ANEW
    rebalance: bool = False
    back: str = ""
    clean: str = ""
    server: str = ""
    replicas: int | None = None
    synchronous: bool | None = None
    fail_over: bool = False
    node: str = ""


class DataFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a module's data. key: name of it, empty for none. weights: of each bucket, rows or load; empty for alike.
    primaries, replicas: server -> its
    nodes, of those that run and are ours. is_ours: whether a new server would be ours. synchronous:
    those servers whose commits wait for a replica.
    obstacles: why it cannot be divided, whole: why it cannot even be moved as a whole."""

    key: str = ""
    key_type: str = ""
    weights: tuple[float, ...] = ()
    primaries: dict[str, str] = {}
    replicas: dict[str, tuple[str, ...]] = {}
    synchronous: tuple[str, ...] = ()
    is_ours: bool = True
    obstacles: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()


def divide(system: System, wish: DataWish, known: DataFacts) -> tuple[str, list[AnyDataStep]]:
    """Title and steps. No steps: it is so already. Raises PlanImpossible with every reason."""
    if wish.replicas is not None:
        return replicate(system, wish, known)
    if wish.fail_over:
        return fail_over(system, wish, known)
    made = _Dividing(system, wish, known)
    if wish.shards:
        return made.split()
    if wish.of is not None:
        return made.move(wish.of)
    if wish.rebalance:
        return made.rebalance()
    if wish.back:
        return made.take_back(wish.back)
    return made.clean(wish.clean or "all")


def servers_of(system: System, module: str) -> list[str]:
    return sorted({each.server for each in system.division(module).shards})


def replicate(system: System, wish: DataWish, known: DataFacts) -> tuple[str, list[AnyDataStep]]:
    """So many replicas for each server that the module is on."""
    steps: list[AnyDataStep] = []
    assert wish.replicas is not None, "it is asked for"
    for server in servers_of(system, wish.module):
        _check_ours(server, known)
        nodes = list(known.replicas.get(server, ()))
        taken = {*nodes, known.primaries.get(server, FIRST)}
        is_synchronous = server in known.synchronous
        wants = is_synchronous if wish.synchronous is None else wish.synchronous
        if wants and not wish.replicas:
            raise PlanImpossible(f"commits at {server} wait for a replica, and it is to have none", hint="--no-synchronous")
        if is_synchronous and not wants:
            steps.append(Synchronous(server=server, on=False, why="you asked for it"))
        number = 1
        while len(nodes) < wish.replicas:
            while f"r{number}" in taken:
                number += 1
            taken.add(f"r{number}")
            nodes.append(f"r{number}")
            steps.append(AddReplica(server=server, node=nodes[-1], why=f"{server} is to have {wish.replicas}"))
        why = f"{server} is to have {wish.replicas}"
        steps += [RemoveReplica(server=server, node=node, why=why) for node in nodes[wish.replicas :]]
        if wants and not is_synchronous:
            steps.append(Synchronous(server=server, on=True, why="you asked for it"))
    return f"{wish.module}: {wish.replicas} replicas", steps


def fail_over(system: System, wish: DataWish, known: DataFacts) -> tuple[str, list[AnyDataStep]]:
    steps: list[AnyDataStep] = []
    for server in servers_of(system, wish.module):
        _check_ours(server, known)
        old = known.primaries[server]
        others = known.replicas.get(server, ())
        if not others:
            raise PlanImpossible(f"{server} has no replica", hint=f"ramet replicate {wish.module} 1")
        if wish.node and wish.node not in others:
            raise PlanImpossible(f"{server} has no replica `{wish.node}`", hint=f"one of {', '.join(others)}")
        steps.append(FailOver(server=server, old=old, to=wish.node, why="you asked for it"))
    return f"{wish.module}: another primary", steps


def _check_ours(server: str, known: DataFacts) -> None:
    if server not in known.primaries and known.is_ours:
        return  # it is about to be made
    if server not in known.primaries:
        raise PlanImpossible(
            f"the database server {server} is not ours to replicate", hint="its own tools make replicas; ramet.toml names them"
        )


class _Dividing:
    def __init__(self, system: System, wish: DataWish, known: DataFacts) -> None:
        self._system = system
        self._wish = wish
        self._known = known
        self._module = wish.module
        self._division = system.division(wish.module)
        self._steps: list[AnyDataStep] = []

    def split(self) -> tuple[str, list[AnyDataStep]]:
        self._check_divisible()
        count = self._wish.shards
        now = self._division.map.shards
        title = f"{self._module}: {len(now)} -> {count} shards"
        if count == len(now):
            return title, []
        wanted = now[:count]
        while len(wanted) < count:
            wanted.append(self._new_shard(taken=wanted))
        self._move_all(self._slices(wanted))
        return title, self._steps

    def rebalance(self) -> tuple[str, list[AnyDataStep]]:
        self._check_divisible()
        self._move_all(self._slices(self._division.map.shards))
        return f"{self._module}: rebalance {len(self._division.map.shards)} shards", self._steps

    def move(self, of: Slice) -> tuple[str, list[AnyDataStep]]:
        if isinstance(of, Whole):
            self._refuse(self._known.whole)
        else:
            self._check_divisible()
        self._check_slice(of)
        try:
            source = owner_of(self._division, of, self._known.key_type)
        except ValueError as error:
            raise PlanImpossible(f"{self._module}: {error}", hint="ramet status shows the map") from None
        target = self._wish.to
        if target == ANEW:
            target = self._new_shard(taken=self._division.map.shards)
        elif target not in self._division.numbers:
            raise PlanImpossible(
                f"{self._module} has no shard {target}",
                hint=f"it has {', '.join(map(str, self._division.numbers))}; or leave it out",
            )
        title = f"{self._module}: {of} to shard {target}"
        if source == target:
            return title, []
        left = [span for span in reassigned(self._division.map, of, target).spans if span.shard == source]
        if source == min(self._division.numbers) and not left and not isinstance(of, Whole):
            raise PlanImpossible(f"shard {source} of {self._module} must keep something: what has no key is there")
        self._move_all([(of, source, target)])
        return title, self._steps

    def take_back(self, name: str) -> tuple[str, list[AnyDataStep]]:
        """The newest first, since each began from what the one before had left."""
        moves = [move for move in self._division.moves if move.switched]
        names = [move.name for move in moves]
        if not moves or (name != "last" and name not in names):
            raise PlanImpossible(
                f"{self._module} has no move {name} that could be taken back"
                if moves
                else f"{self._module} has no move that could be taken back",
                hint=f"it has {', '.join(names)}"
                if moves
                else "a way back ends when it is cleaned up; ramet shard, or ramet move",
            )
        first = len(moves) - 1 if name == "last" else names.index(name)
        for move in reversed(moves[first:]):
            self._take(Switch(module=self._module, move=move, back=True, why="it is still whole at its source"))
            self._take(Clean(module=self._module, move=move, at_target=True, why="nobody owns the copy any more"))
        self._drop_idle()
        return f"{self._module}: take back {', '.join(names[first:])}", self._steps

    def clean(self, name: str) -> tuple[str, list[AnyDataStep]]:
        moves = [move for move in self._division.moves if name in ("all", move.name)]
        if name != "all" and not moves:
            raise PlanImpossible(f"{self._module} has no move {name}", hint="ramet status")
        for move in moves:
            self._take(Clean(module=self._module, move=move, at_target=not move.switched, why="the way back is given up"))
        self._drop_idle()
        return f"{self._module}: clean up {', '.join(move.name for move in moves) or 'nothing'}", self._steps

    # Parts

    def _take(self, step: AnyDataStep) -> None:
        self._system = step.after(self._system)
        self._division = self._system.division(self._module)
        self._steps.append(step)

    def _refuse(self, reasons: Sequence[str]) -> None:
        if reasons:
            raise PlanImpossible(f"{self._module}: {'; '.join(reasons)}", hint="ramet data doctor; nothing was changed")

    def _check_divisible(self) -> None:
        if not self._known.key:
            raise PlanImpossible(
                f"the rows of {self._module} have no key by which they could be divided",
                hint='module.database(key="...") and the key first in every primary key; or ramet extract MODULE --database',
            )
        if not self._known.key_type:
            raise PlanImpossible(f"no table of {self._module} has the column {self._known.key}, which is its key")
        self._refuse(self._known.obstacles)

    def _check_slice(self, of: Slice) -> None:
        if isinstance(of, Buckets) and not 0 <= of.lo <= of.hi < 1024:
            raise PlanImpossible(f"{of} are not within 0..1023")
        texts = [of.key] if isinstance(of, Key) else [each for each in (of.lo, of.hi) if each] if isinstance(of, Between) else []
        for text in texts:
            try:
                key_of(text, self._known.key_type)
            except ValueError:
                raise PlanImpossible(f"{text!r} is no {self._known.key_type}, which {self._known.key} is") from None

    def _slices(self, shards: list[int]) -> list[tuple[Slice, int, int]]:
        if any(isinstance(span.of, Between) for span in self._division.map.spans):
            raise PlanImpossible(
                f"{self._module} is divided by ranges, which only you can choose",
                hint=f"ramet move {self._module} --keys LO..HI --to SHARD",
            )
        return split(self._division, shards, list(self._known.weights) or [1.0] * 1024)

    def _new_shard(self, *, taken: Sequence[int]) -> int:
        """One that is there and owns nothing, or a new one."""
        free = [number for number in self._division.idle if number not in taken]
        if free:
            return free[0]
        number = max(self._division.numbers) + 1
        server = self._wish.server or f"{self._module}-{number}"
        if server != MAIN and server not in self._system.servers:
            self._take(AddServer(server=server, why="a shard grows by itself on a server of its own"))
        self._take(AddShard(module=self._module, shard=ShardIn(number, server), why="before rows can come to it"))
        return number

    def _move_all(self, slices: Sequence[tuple[Slice, int, int]]) -> None:
        names = fresh_names(self._system.databases, len(slices))
        for name, (of, source, target) in zip(names, slices, strict=True):
            self._end_ways_back(of)
            move = SliceMove(name=name, of=of, source=source, target=target, key_type=self._known.key_type)
            after = reassigned(self._division.map, of, target)
            if wrong := problems(after, self._division.numbers):
                raise PlanImpossible(f"{self._module}: {'; '.join(wrong)}")
            self._take(Copy(module=self._module, move=move, why="reads and writes go on at the source"))
            self._take(Verify(module=self._module, move=move, why="before anything depends on the copy"))
            self._take(Switch(module=self._module, move=move, why="both sides are equal, and the source stays a way back"))

    def _end_ways_back(self, of: Slice) -> None:
        """Of earlier moves that had a part of the slice: two replications of one row would be in each other's way."""
        for move in self._division.moves:
            if may_meet(move.of, of):
                why = "a part of it moves again, and each row has one way back"
                self._take(Clean(module=self._module, move=move, at_target=not move.switched, why=why))

    def _drop_idle(self) -> None:
        for number in self._division.idle:
            server = self._division.server_of(number)
            if number == min(self._division.numbers) and len(self._division.numbers) == 1:
                continue
            self._take(DropShard(module=self._module, shard=ShardIn(number, server), why="it owns nothing"))
            used = {each.server for division in self._system.databases.values() for each in division.shards}
            if server in self._system.servers and server not in used:
                self._take(RemoveServer(server=server, why="no shard is on it"))
