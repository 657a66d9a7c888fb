"""What a supervisor writes down: for an instance that it starts, and of the fleet that runs, for whoever asks later."""

from collections.abc import Collection, Mapping

import msgspec

from ramet.model.sharding import DatabaseAt


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """One instance.

    application: path of ramet.toml. service, modules: what to host. state: folder of its socket and its last routing table.
    http_fd: a listening socket that was handed over; else it listens on http_host:http_port. databases: module -> where its
    shards are, with URLs of its own role. drain_delay_s: how long it goes on serving after it said that it leaves.
    """

    application: str
    service: str
    instance: str
    modules: list[str]
    state: str
    version: str = ""
    """The label of its release; empty for the version that ramet.toml names."""
    http_fd: int | None = None
    http_host: str = "127.0.0.1"
    http_port: int = 0
    calls_host: str | None = None
    """Where calls over TCP are taken; None for this machine's Unix socket alone."""
    calls_port: int = 0
    certificates: str = ""
    databases: dict[str, DatabaseAt] = {}
    pooler: str = ""
    """The URL of a transaction pooler, to which some of `databases` lead; empty for none."""
    direct: str = ""
    """The URL of the server behind it, without a role."""
    pool_size: int = 4
    """Connections per module's database, at most."""
    drain_delay_s: float = 5.0
    """Over what Envoy needs to see that it leaves (two checks of 0.5 s), and over the 4 s after which Envoy closes a connection
    that it does not use: so none is closed here into which a request may just be going."""
    settings: dict[str, str] = {}
    """RAMET_* values, which the environment overrides."""

    def on_socket(self, fd: int) -> "Launch":
        """The same, with a listening socket handed over."""
        return msgspec.structs.replace(self, http_fd=fd)

    def hosting(self, module: str, placed: DatabaseAt | None) -> "Launch":
        """The same, with one module more. placed: its database, None for none."""
        databases = {**self.databases, module: placed} if placed is not None else self.databases
        return msgspec.structs.replace(self, modules=[*self.modules, module], databases=databases)

    def placing(self, placed: Mapping[str, DatabaseAt]) -> "Launch":
        """The same, with databases of its modules elsewhere."""
        mine = {module: at for module, at in placed.items() if module in self.modules}
        return msgspec.structs.replace(self, databases={**self.databases, **mine})

    def without(self, modules: Collection[str]) -> "Launch":
        return msgspec.structs.replace(
            self,
            modules=[each for each in self.modules if each not in modules],
            databases={module: placed for module, placed in self.databases.items() if module not in modules},
        )


class InstanceRecord(msgspec.Struct, frozen=True):
    """socket: its door for calls and control. http: host:port. log: its file."""

    name: str
    service: str
    socket: str
    http: str
    log: str


class FleetRecord(msgspec.Struct, frozen=True, kw_only=True):
    """pid: the controller's. process_started: of it, as the system counts, so that another process with its pid is not taken
    for it. data: where databases are, a line for each shard, of modules that are not all in one place."""

    pid: int
    process_started: str
    app: str
    topology: str
    url: str
    log: str
    instances: list[InstanceRecord]
    data: list[str] = []
