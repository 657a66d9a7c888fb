"""Who follows this server, how far behind, and what log is kept for whom. On a primary."""

from dataclasses import dataclass

from ramet.data.driver import Driver

_SLOTS = """\
SELECT slot_name, slot_type, active, coalesce(wal_status, ''),
       coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint
FROM pg_replication_slots WHERE NOT temporary ORDER BY slot_name"""
_FOLLOWERS = """\
SELECT application_name, state, coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn), 0)::bigint,
       coalesce(extract(epoch FROM replay_lag), 0)::float8
FROM pg_stat_replication ORDER BY application_name"""
_LIMITS = """\
SELECT current_setting('max_replication_slots')::int, current_setting('max_wal_senders')::int,
       (SELECT setting::bigint FROM pg_settings WHERE name = 'max_slot_wal_keep_size')"""
_PUBLICATIONS = r"SELECT pubname FROM pg_publication WHERE pubname LIKE 'ramet\_%' ORDER BY 1"
_SUBSCRIPTIONS = r"""
SELECT subname, subenabled, EXISTS (SELECT 1 FROM pg_stat_subscription a WHERE a.subid = s.oid AND a.pid IS NOT NULL)
FROM pg_subscription s
WHERE subname LIKE 'ramet\_%' AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """kept_bytes: log that the server keeps for it. wal_status: the server's word, `lost` for one that is of no use any more."""

    name: str
    kind: str
    is_active: bool
    wal_status: str
    kept_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Follower:
    """A replica, or a subscription. lag: what it has not replayed; seconds only where there was something to replay."""

    name: str
    state: str
    lag_bytes: int
    lag_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    name: str
    is_enabled: bool
    is_working: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Replication:
    """keep_mb: max_slot_wal_keep_size, -1 for no limit. publications, subscriptions: Ramet's own, by their names."""

    slots: tuple[Slot, ...]
    followers: tuple[Follower, ...]
    max_slots: int
    max_senders: int
    keep_mb: int
    publications: tuple[str, ...]
    subscriptions: tuple[Subscription, ...]


async def read(connection: Driver) -> Replication:
    """Raises what the driver raises."""
    max_slots, max_senders, keep_mb = (await connection.fetch(_LIMITS))[0]
    return Replication(
        slots=tuple(
            Slot(name=name, kind=kind, is_active=active, wal_status=status, kept_bytes=kept)
            for name, kind, active, status, kept in await connection.fetch(_SLOTS)
        ),
        followers=tuple(
            Follower(name=name, state=state or "", lag_bytes=lag, lag_s=seconds)
            for name, state, lag, seconds in await connection.fetch(_FOLLOWERS)
        ),
        max_slots=max_slots,
        max_senders=max_senders,
        keep_mb=keep_mb,
        publications=tuple(row[0] for row in await connection.fetch(_PUBLICATIONS)),
        subscriptions=tuple(
            Subscription(name=name, is_enabled=enabled, is_working=working)
            for name, enabled, working in await connection.fetch(_SUBSCRIPTIONS)
        ),
    )
