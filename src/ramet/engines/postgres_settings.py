"""What a PostgreSQL is told: settings as data, rendered into one file that its own configuration includes last."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

PRELOADED = ("pg_stat_statements", "auto_explain")


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresSettings:
    port: int | None = None
    """TCP port on 127.0.0.1. None takes a free one, and the same again next time if it is still free then."""

    user: str = "nobody"
    """Account of the server where we are root, which PostgreSQL refuses. Only for a new data directory; an existing one is
    served by its owner."""

    max_connections: int = 100
    """PostgreSQL's own default. An idle connection costs 1.4 MB, an unused slot almost nothing."""

    shared_buffers: str = "16MB"
    """Small, because the page cache of the system serves the rest, and many databases of a developer share one machine."""

    max_wal_size: str = "256MB"
    """Bounds the disk that an idle project takes, and the time of a recovery after a crash."""

    max_slot_wal_keep_size: str = "1GB"
    """Bounds the disk that a replica which is away makes its primary keep. One that was away for longer is copied anew."""

    slow_query: str = "100ms"
    """Queries that take longer are logged with their plan."""

    start_deadline_s: float = 60.0
    """Time to be ready, in seconds, recovery from a crash included: 256 MB of log are replayed in a few."""

    stop_deadline_s: float = 30.0
    """Time for a fast stop with its checkpoint, in seconds; after it an immediate stop, which a recovery follows."""

    extra: Mapping[str, str] = field(default_factory=dict[str, str])
    """Further settings of PostgreSQL by name; they win over all others here."""


def render(
    settings: PostgresSettings,
    *,
    major: int,
    port: int,
    socket_directory: str,
    libraries: Collection[str],
    replication: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """The content of `ramet.conf`. `libraries` are the loadable modules that this build has, without `.so`.

    replication: further settings, of a replica.
    """
    values: dict[str, str] = {
        "listen_addresses": "127.0.0.1",  # this build has no TLS, so passwords must not leave the host
        "port": str(port),
        "unix_socket_directories": socket_directory,
        "unix_socket_permissions": "0700",
        "password_encryption": "scram-sha-256",
        "max_connections": str(settings.max_connections),
        "shared_buffers": settings.shared_buffers,
        "max_wal_size": settings.max_wal_size,
        "min_wal_size": "32MB",
        "huge_pages": "off",
        "jit": "off",
        "autovacuum_max_workers": "1",
        # For replicas, moves of a shard and failover, without a restart when they come.
        "wal_level": "logical",
        "max_wal_senders": "32",
        "max_replication_slots": "32",
        "max_slot_wal_keep_size": settings.max_slot_wal_keep_size,
        "max_worker_processes": "40",
        "max_logical_replication_workers": "24",
        "hot_standby": "on",
        "hot_standby_feedback": "on",
        "wal_log_hints": "on",
        "wal_keep_size": "64MB",
        "wal_retrieve_retry_interval": "200ms",  # the default of 5 s is what makes reconnects slow
        "track_commit_timestamp": "on",
        "compute_query_id": "on",
        # Messages are read by us: their language and shape must not follow the user's.
        "lc_messages": "C",
        "log_line_prefix": "%m [%p] ",
        "log_timezone": "UTC",
        "logging_collector": "off",
        "log_destination": "stderr",
    }
    if major >= 18:
        values |= {"max_active_replication_origins": "32", "io_method": "worker", "io_workers": "1"}
    preloaded = [name for name in PRELOADED if name in libraries]
    if preloaded:
        values["shared_preload_libraries"] = ",".join(preloaded)
    if "auto_explain" in preloaded:
        values["auto_explain.log_min_duration"] = settings.slow_query
    values |= {**replication, **settings.extra}
    lines = [f"{name} = {_quoted(value)}" for name, value in values.items()]
    return "# Written by Ramet at each start; changes here are lost. Use PostgresSettings.extra.\n" + "\n".join(lines) + "\n"


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''").replace("\n", " ") + "'"
