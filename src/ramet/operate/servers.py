"""The database servers beside the first one: those that plans add, for shards."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from ramet.data.address import Address
from ramet.engines.passwords import Passwords
from ramet.engines.postgres import Postgres
from ramet.engines.postgres_remote import RemotePostgres
from ramet.engines.postgres_settings import PostgresSettings
from ramet.engines.supervision import Change
from ramet.errors import PlanImpossible
from ramet.model.divisions import MAIN
from ramet.operate.databases import MAX_CONNECTIONS, DatabaseServer
from ramet.operate.folder import Folder

Server = Postgres | RemotePostgres


class Servers:
    """urls: servers of the user's own, by name, as in `[servers]` of ramet.toml."""

    def __init__(
        self, main: DatabaseServer, folder: Folder, *, urls: Mapping[str, str], on_change: Callable[[Change], None]
    ) -> None:
        self._main = main
        self._folder = folder.root / "servers"
        self._urls = dict(urls)
        self._on_change = on_change
        self._servers: dict[str, Server] = {}

    def __repr__(self) -> str:
        return f"<Servers: {', '.join([MAIN, *self._servers])}>"

    async def start(self, names: Iterable[str]) -> None:
        """Those that are not there yet. Raises an EngineError."""
        for name in names:
            if name in self._servers:
                continue
            server: Server
            if name in self._urls:
                server = RemotePostgres(self._urls[name])
            elif not self._main.is_embedded:
                raise PlanImpossible(
                    f"ramet.toml names no database server `{name}`", hint=f'[servers]\n{name} = "postgresql://..."'
                )
            else:
                settings = PostgresSettings(max_connections=MAX_CONNECTIONS)
                server = Postgres(self._directory(name), settings=settings, source=self._main.source, on_change=self._on_change)
            await server.start()
            self._servers[name] = server

    async def stop(self, name: str) -> None:
        if (server := self._servers.pop(name, None)) is not None:
            await server.stop()

    async def stop_all(self) -> None:
        for name in list(self._servers):
            await self.stop(name)

    async def release_all(self) -> None:
        """Let them run, for whoever takes over."""
        for server in self._servers.values():
            if isinstance(server, Postgres):
                await server.detach()
        self._servers.clear()

    def admin(self, name: str) -> Address:
        """As its superuser."""
        if name == MAIN:
            return self._main.admin
        return Address(dsn=self._servers[name].url(), application_name="ramet-controller")

    def url(self, name: str, module: str) -> str:
        """With the module's own role and password."""
        if name == MAIN:
            return self._main.url(module)
        return self._servers[name].url(user=module, password=self.password(name, module))

    def password(self, name: str, module: str) -> str:
        server = self._servers[name]
        if isinstance(server, Postgres):
            return server.password(module)
        self._directory(name).mkdir(parents=True, exist_ok=True)
        return Passwords(self._directory(name) / "passwords").make(module)

    def _directory(self, name: str) -> Path:
        return self._folder / name
