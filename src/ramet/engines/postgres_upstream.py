"""What a directory says of its server's place in replication, and what its next start therefore does with the data.

    upstream.json           0600: from whom it streams, under which name. Written before its slot or anything here is made
    fenced                  it may not serve: a replica of it was, or is to be, promoted. Gone when it was rejoined
    data/standby.signal     PostgreSQL's own: a replica. Written by us only into data that was copied from, or rewound to, the
                            upstream; removed by PostgreSQL when it is promoted
    data/ramet.passfile     0600, of the server's account: the password for the upstream

    no data, no upstream     CREATE     a new primary
    no data, an upstream     COPY       a new replica
    data, not fenced         RUN        as whatever the data is, primary or replica
    fenced, an upstream      REJOIN     rewound to the upstream, or copied anew where that is not possible
    rejoining, an upstream   COPY       it was killed while it was rewound: the data is neither of the old nor of the new
    fenced, no upstream      REFUSE

The fence is written before the promotion begins, and looked at before every start of the server by whoever starts it. So of two
nodes that were primary, at most the one without it serves.
"""

import enum
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ramet.data.address import Address
from ramet.engines.accounts import owner_of
from ramet.engines.errors import EngineFenced, EngineUnfit
from ramet.engines.files import sync_directory, write_durably, write_whole
from ramet.engines.postgres_url import address_of, conninfo, passfile_of, without_password

PASSFILE = "ramet.passfile"
STANDBY = "standby.signal"
CONNECT_TIMEOUT_S = "5"

_FENCED, _REJOINING = "fenced", "rejoining"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """Whom a replica follows. url: of the primary, as a role that may replicate. name: of the replica, unique among its siblings;
    what `synchronous_standby_names` and pg_stat_replication call it. Lower case letters, digits and `-`. Raises ConfigError."""

    url: str = field(repr=False)
    name: str

    def __post_init__(self) -> None:
        address_of(self.url)

    def __str__(self) -> str:
        return f"{self.name} from {without_password(self.url)}"

    @property
    def slot(self) -> str:
        """Its own on the primary. The names of slots have no `-`, and ours no `_`, so no two names share a slot."""
        return f"ramet_{self.name.replace('-', '_')}"

    @property
    def address(self) -> Address:
        return Address(dsn=self.url, application_name=f"ramet for {self.name}")


class Begin(enum.Enum):
    CREATE = "create"
    COPY = "copy"
    RUN = "run"
    REJOIN = "rejoin"
    REFUSE = "refuse"


def decide_begin(*, has_data: bool, has_upstream: bool, fence: str) -> Begin:
    """fence: what `read_fence` said. See the table above."""
    if fence and not has_upstream:
        return Begin.REFUSE
    if not has_data:
        return Begin.COPY if has_upstream else Begin.CREATE
    if not fence:
        return Begin.RUN
    return Begin.REJOIN if fence == _FENCED else Begin.COPY


def read_upstream(directory: Path) -> Upstream | None:
    path = directory / "upstream.json"
    try:
        content: Any = json.loads(path.read_bytes())
        return Upstream(url=content["url"], name=content["name"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        raise EngineUnfit(
            "the file that names the primary is damaged", where=str(path), hint="restore it from a backup"
        ) from None


def write_upstream(directory: Path, upstream: Upstream) -> None:
    write_durably(directory / "upstream.json", json.dumps({"url": upstream.url, "name": upstream.name}, indent=1).encode())


def forget_upstream(directory: Path) -> None:
    """It was promoted, or its slot is gone. Nothing happens if there is none."""
    (directory / "upstream.json").unlink(missing_ok=True)


def read_fence(directory: Path) -> str:
    """Empty: it may serve."""
    try:
        return (directory / "fenced").read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def fence(directory: Path) -> None:
    """On disk when this returns. A rejoin that is under way stays one."""
    if not read_fence(directory):
        write_durably(directory / "fenced", _FENCED.encode())


def begin_rejoin(directory: Path) -> None:
    write_durably(directory / "fenced", _REJOINING.encode())


def lift_fence(directory: Path) -> None:
    """Only where the data is a replica's, or nobody was promoted after all."""
    if read_fence(directory):
        (directory / "fenced").unlink()
        sync_directory(directory)


def check_fence(directory: Path) -> None:
    """Raises EngineFenced."""
    if read_fence(directory):
        raise fenced(directory)


def fenced(directory: Path) -> EngineFenced:
    return EngineFenced(
        "this PostgreSQL must not serve: a replica of it was promoted, or its data is not whole",
        where=str(directory),
        hint="it has to be rejoined to the new primary: PostgresCluster does so when it starts",
    )


def mark_standby(data: Path) -> None:
    """The server that starts on this data is a replica."""
    write_whole(data / STANDBY, b"", owner=owner_of(data).owner)
    sync_directory(data)


def is_standby(data: Path) -> bool:
    """Whether the data is a replica's."""
    return (data / STANDBY).exists()


def settings_for(upstream: Upstream, data: Path) -> dict[str, str]:
    """What the server is told of its upstream, after its passfile was written. A primary does not heed these."""
    write_whole(data / PASSFILE, passfile_of(upstream.url).encode(), owner=owner_of(data).owner)
    # Named without its directory: the server works in its data, and its account may be unable to walk there.
    connection = conninfo(upstream.url, application_name=upstream.name, passfile=PASSFILE, connect_timeout=CONNECT_TIMEOUT_S)
    return {"primary_conninfo": connection, "primary_slot_name": upstream.slot}
