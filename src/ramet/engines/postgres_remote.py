"""A PostgreSQL that is not ours: a URL in the topology. Nothing is started and nothing is stopped."""

import asyncio

from ramet.engines.errors import EngineFailed
from ramet.engines.postgres_probe import Answer, probe
from ramet.engines.postgres_url import addresses_of, with_parts, without_password
from ramet.engines.supervision import FIRST_POLL_S, MAX_POLL_S, Status


class RemotePostgres:
    """The face of `postgres.Postgres` for a server at a URL. Raises ConfigError if it is none."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._places = addresses_of(url)
        self.status = Status.STOPPED

    def __repr__(self) -> str:
        return f"<RemotePostgres {without_password(self._url)}: {self.status.value}>"

    async def start(self, *, deadline_s: float = 10.0) -> None:
        """Wait until it, or one of its hosts, accepts connections. Raises EngineFailed."""
        loop = asyncio.get_running_loop()
        deadline, poll_s = loop.time() + deadline_s, FIRST_POLL_S
        while Answer.ACCEPTS not in (answers := await asyncio.gather(*(probe(*place) for place in self._places))):
            if loop.time() > deadline:
                raise EngineFailed(
                    f"PostgreSQL at {without_password(self._url)} {' / '.join(each.value for each in answers)},"
                    f" after {deadline_s:g} s",
                    hint="check the address, that the server runs, and what lies between",
                )
            await asyncio.sleep(poll_s)
            poll_s = min(poll_s * 1.5, MAX_POLL_S)
        self.status = Status.RUNNING

    async def stop(self) -> None:
        self.status = Status.STOPPED

    def url(self, *, database: str | None = None, user: str | None = None, password: str | None = None) -> str:
        return with_parts(self._url, database=database, user=user, password=password)
