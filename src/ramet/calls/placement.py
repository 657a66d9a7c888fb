"""What each facade of this process does: run here, go elsewhere, or divide while its module is moving.

    here ──a table gives another place a share──> divided ──it gives this place none──> elsewhere ──idle──> dropped
      ^                                              │                                      │
      └──────────────────────────────────────────────┴── the way back is the same backwards ┘

Facades are bound anew when the shares change, and calls under way end as they began. So a module is idle when its streams and its
divided calls are counted down to none, and its calls of before the division have met their deadline at the latest.
"""

import asyncio
import time
from collections.abc import Callable, Mapping

from ramet.calls import local
from ramet.calls.facade import Call, Exposes, Slow
from ramet.calls.group import Group
from ramet.calls.ledger import Ledger, MemoryLedger
from ramet.calls.remote import RemoteCall
from ramet.calls.remote_stream import RemoteStream
from ramet.calls.split import Split
from ramet.model.routing import open_places, version_of
from ramet.observe.record import Recorder

POLL_S = 0.02
"""How often idleness is looked for. No event tells: a count kept by every call would be paid for by every call."""

Shares = Mapping[str, Mapping[str, int]]


class Placement:
    """modules: all of the application's. hosted: names of those that run here; changed by `host` and `drop` alone.
    place: this instance's own. group: the endpoints of a module."""

    def __init__(
        self,
        modules: Mapping[str, Exposes],
        hosted: set[str],
        *,
        place: str,
        strict: bool,
        recorder: Recorder,
        ledgers: dict[str, Ledger],
        group: Callable[[str], Group],
    ) -> None:
        self._modules = modules
        self.hosted = hosted
        self._place = place
        self._strict = strict
        self._recorder = recorder
        self._ledger = MemoryLedger()
        self.ledgers = ledgers
        self._group = group
        self._shares: Shares = {}
        self._here: dict[str, float] = {}
        self._splits: dict[str, list[Split]] = {}
        self._divided_at: dict[str, float] = {}

    def __repr__(self) -> str:
        moving = ", ".join(f"{name} {share:.0%}" for name, share in self._here.items() if 0 < share < 1)
        return f"<Placement: {', '.join(sorted(self.hosted)) or 'nothing'} here{f', moving: {moving}' if moving else ''}>"

    def ledger(self, module: str) -> Ledger:
        return self.ledgers.get(module, self._ledger)

    def apply(self, shares: Shares) -> None:
        """Bind every facade as these shares say, if they say something new. A module without shares runs here if hosted here."""
        self._shares = shares
        here = {name: self._share(name) for name in self._modules}
        if here == self._here:
            return
        now = time.monotonic()
        for name, share in here.items():
            if share < 1 and self._here.get(name, 0) == 1:
                self._divided_at[name] = now
        self._here = here
        for name, module in self._modules.items():
            self._splits[name] = [each for each in self._splits.get(name, []) if each.in_flight]
            for call in module.calls.values():
                self._bind(call, name)

    def unplace(self) -> None:
        """Leave the facades as they were after import."""
        for module in self._modules.values():
            for call in module.calls.values():
                call.unbind()

    def _share(self, module: str) -> float:
        if module not in self.hosted:
            return 0.0
        shares = self._shares.get(module)
        if shares is None:
            return 1.0
        weights = open_places(shares, version_of(self._place))
        return weights.get(self._place, 0) / sum(weights.values()) if weights else 1.0

    def _bind(self, call: Call, module: str) -> None:
        here = self._here[module]
        streams = call.contract.streams
        if here == 1 and not streams:  # streams are counted from the start: their deadline is for each item, so they may last
            fast = self._reaches_only_local(module, set())
            ledger = self.ledger(module)
            local.bind(call, recorder=self._recorder, ledger=ledger, strict=self._strict, fast=fast)
            return
        if here == 0:
            call.bind(self.elsewhere(call))
            return
        own = local.LocalCall(call, self._recorder, self.ledger(module), strict=self._strict, fast=False)
        mine: Slow = own.stream if streams else own.run
        split = Split(module, mine, mine if here == 1 else self.elsewhere(call), here, streams=streams)
        self._splits[module].append(split)
        call.bind(split.run)

    def elsewhere(self, call: Call) -> Slow:
        """How code that runs here makes a call of a module in another instance."""
        remote = RemoteCall(call, self._group(call.contract.module), self._recorder, strict=self._strict)
        return RemoteStream(remote).open if call.contract.streams else remote.run

    def _reaches_only_local(self, module: str, seen: set[str]) -> bool:
        """Whether nothing that runs in a call of this module can leave the process."""
        seen.add(module)
        uses = self._modules[module].uses
        return all(self._here.get(name) == 1 and (name in seen or self._reaches_only_local(name, seen)) for name in uses)

    def host(self, module: str, ledger: Ledger | None) -> None:
        """Be able to run it; the shares say when."""
        self.hosted.add(module)
        if ledger is not None:
            self.ledgers[module] = ledger
        self.apply(self._shares)

    def is_here(self, module: str) -> bool:
        """Whether calls of this process still run here."""
        return self._here.get(module, 0) > 0

    async def wait_idle(self, module: str) -> None:
        """Until no call of this process runs in the module any more, in the worst case its longest deadline."""
        assert not self.is_here(module), "its calls have been sent elsewhere before"
        longest_s = max((call.contract.deadline_s for call in self._modules[module].calls.values()), default=0.0)
        over = self._divided_at.get(module, 0.0) + longest_s
        while any(split.in_flight for split in self._splits.get(module, ())) or time.monotonic() < over:  # noqa: ASYNC110  (see POLL_S)
            await asyncio.sleep(POLL_S)

    def drop(self, module: str) -> None:
        self.hosted.discard(module)
        self.ledgers.pop(module, None)
        self._splits.pop(module, None)
        self._divided_at.pop(module, None)
        self.apply(self._shares)
