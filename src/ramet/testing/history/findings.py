"""What the checker finds, and how it tells it."""

import enum
from dataclasses import dataclass
from functools import cached_property


class Kind(enum.StrEnum):
    """What a finding means. Only `FAILED` is about the answer; the others say that what was promised is not so."""

    FAILED = "failed"
    """A request got no good answer: it was refused, or its outcome is unknown."""
    TWICE = "twice"
    """A token is in its set more than once, or a set holds more tokens than were ever asked for: a command ran twice."""
    LOST = "lost"
    """A write or command was acknowledged, or its effect was seen, and the final state has neither it nor what may have
    overwritten it."""
    STALE = "stale"
    """A read showed something older than what its client must know of; see `Promise`."""
    UNEXPECTED = "unexpected"
    """A value or token was there that nobody had asked for by then, or only requests that were refused."""


class Promise(enum.StrEnum):
    """How new what is read has to be."""

    SESSION = "session"
    """Each client sees its own acknowledged writes, and nothing older than what it saw before. Of other clients' writes it may
    see an older state: that is what replicas give."""
    REAL_TIME = "real-time"
    """Each client sees all that was acknowledged to anyone, or seen by anyone, before its read began: what one primary gives."""


@dataclass(frozen=True, slots=True)
class Finding:
    kind: Kind
    operation: int | None
    """Number of the request in `History.operations`: the one that failed, was lost, ran twice, or showed what is wrong. None
    where only the final state shows it and no request explains it."""
    key: str | None
    """Of what was read or written; None for a request that failed."""
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


@dataclass(frozen=True)
class Report:
    requests: int
    findings: tuple[Finding, ...]
    """In the order of their requests."""

    @property
    def is_clean(self) -> bool:
        return not self.findings

    @cached_property
    def counts(self) -> dict[Kind, int]:
        """Of each kind, how many requests there are findings about: one that read five things too late counts once."""
        found = {(finding.kind, finding.key if finding.operation is None else finding.operation) for finding in self.findings}
        return {kind: sum(each[0] is kind for each in found) for kind in Kind}

    def text(self, *, most: int = 20) -> str:
        """The counts, then the first findings of each kind, at most so many."""
        lines = [f"{self.requests} requests: " + ", ".join(f"{count} {kind}" for kind, count in self.counts.items())]
        for kind in Kind:
            found = [finding for finding in self.findings if finding.kind is kind]
            lines += [str(finding) for finding in found[:most]]
            if len(found) > most:
                lines.append(f"{kind}: {len(found) - most} more")
        return "\n".join(lines)
