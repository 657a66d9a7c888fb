"""The application and its topologies: what `ramet.toml` says. Data, never code; reading it imports no module.

    [app]                           name, modules (import paths of packages), version, inseparable (groups of modules)
    [engines]                       postgres = "embedded" | "path" | a postgresql:// URL; pooler = a postgresql:// URL
    [pools]                         web = N
    [servers]                       NAME = "postgresql://...": of one's own, for shards
    [http]                          prefix = "/api", problems = "conduit.http:render", cors = ["*"]
    [settings]                      any field of ramet.settings.Settings
    [objectives.NAME]               route, latency, target
    [check]                         layers = ["feed", "articles | social", "accounts"]
    [check.public]                  MODULE = [names of its face]
    [gates]                         any field of ramet.model.gates.policy.Policy
    [topology.NAME.services]        SERVICE = { modules = [...], instances = N or "N..M", target = {...}, memory = "512MB" }
    [topology.NAME.databases]       MODULE = { shards = N, replicas = N }

`modules = ["*"]` takes every module that no other service of the topology names. Each module has exactly one service.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ramet.kit.durations import parse_duration_s
from ramet.model import pools, service
from ramet.model.gates import reading
from ramet.model.gates.policy import Policy
from ramet.model.pools import Pools
from ramet.model.service import Service
from ramet.model.toml import Reader

SCHEMES = ("postgresql://", "postgres://")


@dataclass(frozen=True, slots=True)
class Layout:
    """How the database of a module is to be divided."""

    shards: int = 1
    replicas: int = 0


@dataclass(frozen=True, slots=True)
class Topology:
    name: str
    services: Mapping[str, Service]
    databases: Mapping[str, Layout] = field(default_factory=dict[str, Layout])
    """By module; without those that the file does not name."""

    def service_of(self, module: str) -> Service:
        """The service that hosts a module. Each module of the application has one."""
        return next(service for service in self.services.values() if module in service.modules)


@dataclass(frozen=True, slots=True)
class Objective:
    """A promise to users. latency_s: None where only success counts. target: percent of requests, such as 99.9."""

    name: str
    route: str
    target: float
    latency_s: float | None = None


@dataclass(frozen=True, slots=True)
class Boundaries:
    """What `ramet check` holds modules to beside their `uses`. layers: rows of modules, the highest first; each may import those
    of the rows below. public: module -> names of its face that others may import; a module that is not in it offers all."""

    layers: tuple[tuple[str, ...], ...] = ()
    public: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])


@dataclass(frozen=True, slots=True)
class Application:
    """modules: name -> import path of its package. version: of the user's code; shown in metrics. settings: as written in the
    file."""

    name: str
    modules: Mapping[str, str]
    topologies: Mapping[str, Topology]
    version: str = "0"
    postgres: str = "embedded"
    http_prefix: str = ""
    """Before the paths of all endpoints, such as `/api`."""
    http_problems: str = ""
    """`package.module:function` that gives problems a shape of the application's own; empty for RFC 9457."""
    http_cors: tuple[str, ...] = ()
    """Origins whose pages may call from a browser; `*` for any. None by default."""
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    objectives: Mapping[str, Objective] = field(default_factory=dict[str, Objective])
    lines: Mapping[tuple[str, ...], int] = field(default_factory=dict[tuple[str, ...], int])
    boundaries: Boundaries = Boundaries()
    gates: Policy = field(default_factory=lambda: Policy(bake_s=reading.CANARY_BAKE_S))
    """bake_s: of a canary, at each weight."""
    servers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Database servers of the user's own for shards: name -> URL."""
    inseparable: tuple[tuple[str, ...], ...] = ()
    """Groups of modules that share state in memory or a database role, and must stay in one service."""
    pooler: str = ""
    """A transaction pooler in front of `postgres`, which instances then use; empty for none."""
    pools: Pools = field(default_factory=Pools)

    @property
    def first_topology(self) -> Topology:
        """The one that is used where none is named: the first in the file."""
        return next(iter(self.topologies.values()))

    @property
    def memory_limits(self) -> dict[str, int]:
        """Service -> bytes. The largest of a name that is in many topologies: between two of them both may run."""
        found: dict[str, int] = {}
        for each in (one for topology in self.topologies.values() for one in topology.services.values()):
            if each.memory_bytes is not None:
                found[each.name] = max(each.memory_bytes, found.get(each.name, 0))
        return found


def parse(text: str, *, file: str = "ramet.toml") -> Application:
    """Read `ramet.toml`. Raises ConfigError with file and line; every mistake of the file is in it, not only the first."""
    root = Reader.of(text, file=file)
    app = root.table("app", required=True)
    name = app.name("name")
    paths = app.texts("modules", required=True)
    modules = _modules(app, paths)
    version = app.text("version", default="0")
    inseparable = _groups(app, list(modules))
    app.done()
    engines = root.table("engines")
    postgres = _postgres(engines)
    pooler = _pooler(engines)
    engines.done()
    sizes = pools.read(root.table("pools"))
    servers = _servers(root.table("servers"))
    http = root.table("http")
    prefix = _prefix(http)
    problems = http.text("problems")
    if problems and not all(part.isidentifier() for part in problems.replace(":", ".").split(".")):
        http.fault("problems", f"{problems!r} is not the path of a function", hint='problems = "shop.http:render"')
    cors = http.texts("cors")
    for origin in cors:
        if origin != "*" and not origin.startswith(("http://", "https://")):
            http.fault("cors", f"{origin!r} is not an origin", hint='cors = ["https://shop.example"], or ["*"] for any')
    http.done()
    settings = root.table("settings")
    objectives = {key: _objective(key, table) for key, table in root.table("objectives").tables()}
    boundaries = _boundaries(root.table("check"), list(modules))
    gates = reading.read(root.table("gates"))
    topologies = {key: _topology(key, table, list(modules)) for key, table in root.table("topology").tables()}
    root.done()
    if not topologies:
        topologies = {"seed": Topology("seed", {"main": Service("main", tuple(modules))})}
    root.finish()
    return Application(
        name,
        modules,
        topologies,
        version,
        postgres,
        prefix,
        problems,
        tuple(cors),
        settings.values,
        objectives,
        root.lines,
        boundaries,
        gates,
        servers,
        inseparable,
        pooler,
        sizes,
    )


def _modules(app: Reader, paths: list[str]) -> dict[str, str]:
    modules: dict[str, str] = {}
    for path in paths:
        name = path.rpartition(".")[2]
        if not all(part.isidentifier() for part in path.split(".")):
            app.fault("modules", f"{path!r} is not the import path of a package")
        elif name == "ramet":
            app.fault("modules", f"{path}: the name `ramet` is taken by the instances' own control channel")
        elif name in modules:
            app.fault("modules", f"two modules are named {name!r}: {modules[name]} and {path}", hint="rename one of the packages")
        else:
            modules[name] = path
    if app.values.get("modules") == []:
        app.fault("modules", "the application has no module", hint='modules = ["shop.orders"]')
    return modules


def _groups(app: Reader, known: list[str]) -> tuple[tuple[str, ...], ...]:
    groups = app.lists("inseparable")
    for group in groups:
        if len(set(group)) < 2:
            app.fault("inseparable", f"{group} is not a group of modules", hint='inseparable = [["orders", "stock"]]')
        for module in group:
            if module not in known:
                app.unknown("inseparable", module, known, what="module of the application")
    return tuple(tuple(group) for group in groups)


def _prefix(http: Reader) -> str:
    prefix = http.text("prefix")
    if prefix and (not prefix.startswith("/") or prefix.endswith("/") or any(mark in prefix for mark in "{}?# \t\n")):
        http.fault("prefix", f"{prefix!r} is not a path", hint='prefix = "/api"')
    return prefix


def _postgres(engines: Reader) -> str:
    source = engines.text("postgres", default="embedded")
    if source not in {"embedded", "path"} and not source.startswith(SCHEMES):
        engines.fault(
            "postgres", f"{source!r} is no PostgreSQL", hint='"embedded", "path" (one on the PATH) or a postgresql:// URL'
        )
    return source


def _pooler(engines: Reader) -> str:
    url = engines.text("pooler", default="")
    if url and not url.startswith(SCHEMES):
        engines.fault("pooler", f"{url!r} is no pooler", hint='pooler = "postgresql://pgbouncer:6432/shop"')
    return url


def _servers(table: Reader) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in table.values:
        url = table.text(name)
        if not url.startswith(SCHEMES):
            table.fault(name, f"{url!r} is not the URL of a PostgreSQL", hint='"postgresql://admin:password@host:5432/database"')
        found[name] = url
    table.done()
    return found


def _objective(name: str, table: Reader) -> Objective:
    route = table.text("route", required=True)
    target = table.number("target", default=99.9, required=True)
    if not 0 < target < 100:
        table.fault("target", f"a target of {target} percent can be missed by nothing or by everything", hint="target = 99.9")
    latency = table.text("latency", default="")
    latency_s = None
    if latency:
        try:
            latency_s = parse_duration_s(latency)
        except ValueError as error:
            table.fault("latency", str(error))
    table.done()
    return Objective(name, route, target, latency_s)


def _boundaries(table: Reader, known: list[str]) -> Boundaries:
    rows: list[tuple[str, ...]] = []
    named: set[str] = set()
    for text in table.texts("layers"):
        row = tuple(part.strip() for part in text.split("|"))
        for name in row:
            if name not in known:
                table.unknown("layers", name, known, what="module of the application")
            elif name in named:
                table.fault("layers", f"{name!r} is in the layers twice", hint="a module stands in one row")
            named.add(name)
        rows.append(row)
    public: dict[str, tuple[str, ...]] = {}
    names = table.table("public")
    for key in names.values:
        public[key] = tuple(names.texts(key))
        if key not in known:
            names.unknown(key, key, known, what="module of the application")
    table.done()
    return Boundaries(tuple(rows), public)


def _topology(name: str, table: Reader, known: list[str]) -> Topology:
    services_table = table.table("services", required=True)
    wanted: dict[str, tuple[Service, Reader]] = {}
    for key, one in services_table.tables():
        wanted[key] = (service.read(key, one), one)
    databases = {key: _layout(key, one, known) for key, one in table.table("databases").tables()}
    is_readable = not (table.has_faults or services_table.has_faults)
    table.done()
    named: dict[str, str] = {}
    for key, (drafted, one) in wanted.items():
        for module in dict.fromkeys(drafted.modules):
            if module != "*" and module not in known:
                one.unknown("modules", module, known, what="module of the application")
            elif module in named:
                what = "the rest" if module == "*" else f"module {module!r}"
                one.fault("modules", f"{what} is in two services, {named[module]!r} and {key!r}", hint="a module has one owner")
            named[module] = key
    rest = [module for module in known if module not in named]
    if rest and "*" not in named and is_readable:
        services_table.fault(
            "", f"no service hosts {', '.join(map(repr, rest))}", hint='add it to a service, or say modules = ["*"] in one'
        )
    services: dict[str, Service] = {}
    for key, (drafted, one) in wanted.items():
        taken = {*drafted.modules, *(rest if "*" in drafted.modules else ())}
        services[key] = replace(drafted, modules=tuple(module for module in known if module in taken))
        if not services[key].modules and not one.has_faults:
            one.fault("modules", f"service {key!r} has no module", hint="leave it out")
    return Topology(name, services, databases)


def _layout(module: str, table: Reader, known: list[str]) -> Layout:
    if module not in known:
        table.unknown("", module, known, what="module of the application")
    shards = table.count("shards", default=1)
    replicas = table.count("replicas", default=1) if "replicas" in table.values else 0
    table.done()
    return Layout(shards, replicas)
