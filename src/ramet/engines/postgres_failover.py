"""What of a failover is decided: who becomes primary, and what that may lose."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ramet.data.replication import NodeStatus
from ramet.engines.errors import FailoverRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedOver:
    """primary: who serves writes now, on this timeline.

    lost_bytes: of log that the old primary had written and the new one does not have; None where the old one's disk could not be
    read. keeps_acknowledged: whether every commit that a client was told of is in the new primary for sure: because nothing is
    lost, or because commits waited for a replica and all of those were asked.
    """

    primary: str
    timeline: int
    lost_bytes: int | None
    keeps_acknowledged: bool


def check_candidates(nodes: Mapping[str, NodeStatus | None], wanted: str | None) -> None:
    """Whether there is anybody to fail over to; for before the primary is interrupted.

    nodes: the replicas; None for one that does not answer. wanted: who it has to be, or None. Raises FailoverRefused.
    """
    able = sorted(_able(nodes))
    if not able:
        raise FailoverRefused(
            f"no replica answers, of {', '.join(sorted(nodes)) or 'none that there are'}",
            hint="start one, or start the primary again",
        )
    if wanted is not None and wanted not in able:
        raise FailoverRefused(f"`{wanted}` is no replica that answers", hint=f"fail over to {able[0]}")


def choose_successor(nodes: Mapping[str, NodeStatus | None], wanted: str | None) -> str:
    """Who has most of the old primary's log, on the youngest timeline. Ask after that has ended, or it goes on growing.

    As `check_candidates`; refused too where the wanted one has less of the log than another.
    """
    check_candidates(nodes, wanted)
    able = _able(nodes)
    best = max(sorted(able), key=lambda name: able[name])
    if wanted is None or able[wanted] == able[best]:
        return wanted or best
    raise FailoverRefused(
        f"`{wanted}` lacks {able[best][1] - able[wanted][1]} bytes of log that `{best}` has, maybe acknowledged commits",
        hint=f"fail over to {best}",
    )


def keeps_acknowledged(lost_bytes: int | None, *, waited_for: Collection[str], asked: Collection[str]) -> bool:
    """Whether what was acknowledged is in the one with the most log.

    waited_for: the replicas of which one had to have a commit before it was acknowledged; empty for none. asked: who was
    compared. One that was not asked may be the only one that has it.
    """
    return lost_bytes == 0 or (bool(waited_for) and set(waited_for) <= set(asked))


def _able(nodes: Mapping[str, NodeStatus | None]) -> dict[str, tuple[int, int]]:
    """Timeline and log of those that could be promoted."""
    return {name: (node.timeline, node.flushed) for name, node in nodes.items() if node is not None and node.is_replica}
