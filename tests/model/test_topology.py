"""`ramet.toml`: every mistake has a line and a hint, no text breaks the reader, and every module has exactly one service."""

import math
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ramet.errors import ConfigError
from ramet.model.autoscale import Limits, Target
from ramet.model.gates.policy import Policy
from ramet.model.topology import Application, Layout, Service, Topology, parse

APP = '[app]\nname = "shop"\nmodules = ["shop.orders", "shop.front"]\n'
SEED = "[topology.seed.services]\n"

MISTAKES = [
    # text, where, part of the message, hint
    pytest.param("[app\n", "1", "not TOML", None, id="no TOML"),
    pytest.param(APP + 'name = "again"\n', "4", "not TOML", None, id="a key twice"),
    pytest.param(
        'app = {name = "shop", modules = ["a.b"], vrsion = "1"}', "1", "app.vrsion: unknown key", "`version`", id="inline"
    ),
    pytest.param('[app]\nmodules = ["shop.orders"]\n', "1", "app.name: is missing", "it is a text", id="no name"),
    pytest.param(
        '[app]\nname = "Shop"\nmodules = ["a.b"]\n', "2", "'Shop' cannot be a name", "lower-case", id="capitals in a name"
    ),
    pytest.param('[app]\nname = ""\nmodules = ["a.b"]\n', "2", "'' cannot be a name", "lower-case", id="empty name"),
    pytest.param('[app]\nname = 3\nmodules = ["a.b"]\n', "2", "3 is not a text", None, id="name of another type"),
    pytest.param('[app]\nname = "x"\nmodules = "a.b"\n', "3", "'a.b' is not a list of texts", None, id="modules as one text"),
    pytest.param('[app]\nname = "x"\nmodules = ["a.b", 3]\n', "3", "3 is not a text", None, id="a number among the modules"),
    pytest.param('[app]\nname = "x"\nmodules = []\n', "3", "has no module", "modules =", id="no module"),
    pytest.param('[app]\nname = "x"\nmodules = ["a-b"]\n', "3", "'a-b' is not the import path", None, id="not an import path"),
    pytest.param(
        '[app]\nname = "x"\nmodules = ["a.b", "c.b"]\n', "3", "two modules are named 'b'", "rename one", id="two of a name"
    ),
    pytest.param('[app]\nname = "x"\nmodules = ["a.ramet"]\n', "3", "the name `ramet` is taken", None, id="our own name"),
    pytest.param(APP + "version = 1\n", "4", "app.version: 1 is not a text", None, id="version as a number"),
    pytest.param(APP + "version = true\n", "4", "True is not a text", None, id="version as a boolean"),
    pytest.param(APP + "[topologi.seed]\n", "4", "topologi: unknown key", "`topology`", id="table misspelled"),
    pytest.param(
        APP + '[engines]\npostgres = "embeded"\n', "5", "'embeded' is no PostgreSQL", '"embedded"', id="unknown PostgreSQL"
    ),
    pytest.param(APP + '[engines]\npostgress = "path"\n', "5", "unknown key", "`postgres`", id="engine misspelled"),
    pytest.param(
        APP + '[engines]\npooler = "pgb:6432"\n', "5", "'pgb:6432' is no pooler", "postgresql://", id="pooler without scheme"
    ),
    pytest.param(APP + "[pools]\nweb = 0\n", "5", "0 is not between 1 and 1000", None, id="pool of none"),
    pytest.param(APP + "[pools]\nwep = 4\n", "5", "unknown key", "`web`", id="pool misspelled"),
    pytest.param(APP + '[http]\nprefix = "api"\n', "5", "'api' is not a path", 'prefix = "/api"', id="prefix without slash"),
    pytest.param(APP + '[http]\nprefix = "/api/"\n', "5", "is not a path", 'prefix = "/api"', id="prefix with slash at its end"),
    pytest.param(APP + '[http]\nprefix = "/a b"\n', "5", "is not a path", 'prefix = "/api"', id="prefix with a space"),
    pytest.param(APP + '[http]\nproblems = "a b"\n', "5", "is not the path of a function", "shop.http:render", id="problems"),
    pytest.param(APP + '[http]\ncors = ["shop.example"]\n', "5", "is not an origin", "https://", id="origin without scheme"),
    pytest.param(APP + "[topology]\nseed = 3\n", "5", "topology.seed: 3 is not a table", None, id="topology as a number"),
    pytest.param(APP + "[[topology]]\n", "4", "topology: [{}] is not a table", None, id="topology as a list of tables"),
    pytest.param(APP + SEED + 'Web = {modules = ["*"]}\n', "5", "'Web' cannot be a name", "lower-case", id="service's name"),
    pytest.param(
        APP + SEED + 'web = {modules = ["ordrs", "*"]}\n', "5", "'ordrs' is no module", "`orders`", id="module misspelled"
    ),
    pytest.param(APP + SEED + 'web = {modules = ["front"]}\n', "4", "no service hosts 'orders'", "add it", id="module forgotten"),
    pytest.param(APP + SEED, "4", "no service hosts 'orders', 'front'", "add it", id="no service at all"),
    pytest.param(
        APP + SEED + 'a = {modules = ["*"]}\nb = {modules = ["front", "orders"]}\n',
        "5",
        "service 'a' has no module",
        "leave it out",
        id="nothing is left for the star",
    ),
    pytest.param(
        APP + SEED + 'a = {modules = ["orders"]}\nb = {modules = ["front", "orders"]}\n',
        "6",
        "module 'orders' is in two services, 'a' and 'b'",
        "one owner",
        id="module in two services",
    ),
    pytest.param(
        APP + SEED + 'a = {modules = ["*"]}\nb = {modules = ["*"]}\n', "6", "is in two services", "one owner", id="two stars"
    ),
    pytest.param(
        APP + SEED + 'a = {modules = ["*"], instances = 0}\n', "5", "0 is not between 1 and 1000", None, id="no instance"
    ),
    pytest.param(
        APP + SEED + 'a = {modules = ["*"], instances = 1001}\n', "5", "between 1 and 1000", None, id="too many instances"
    ),
    pytest.param(
        APP + SEED + 'a = {modules = ["*"], instances = 1.5}\n', "5", "1.5 is not a whole number", None, id="half of one"
    ),
    pytest.param(
        APP + SEED + 'a = {modules = ["*"], instances = true}\n', "5", "True is not a whole", None, id="true is no number"
    ),
    pytest.param(
        APP + SEED + 'a = {modules = ["*"], instance = 2}\n', "5", "unknown key", "`instances`", id="instances misspelled"
    ),
    pytest.param(
        APP + SEED + 'a = {modules = ["*"], instances = "8..2"}\n', "5", "'8..2' is not a range", '"2..8"', id="range backwards"
    ),
    pytest.param(
        APP + SEED + 'a = {modules = ["*"], instances = "2"}\n', "5", "'2' is not a range", "without quotes", id="no range"
    ),
    pytest.param(
        APP + SEED + 'a = {modules = ["*"], instances = "2..1001"}\n', "5", "not a range within 1", "2..8", id="range too far"
    ),
    pytest.param(
        APP + SEED + 'a = {modules = ["*"], instances = 3, target = {cpu = 0.5}}\n',
        "5",
        "a.target: a target needs a range",
        'instances = "3..6"',
        id="target without a range",
    ),
    pytest.param(
        APP + SEED + 'a = {modules = ["*"], instances = "1..2", target = {cpu = 0}}\n',
        "5",
        "target.cpu: 0 is no target",
        "above 0",
        id="target of nothing",
    ),
    pytest.param(
        APP + SEED + 'a = {modules = ["*"], instances = "1..2", target = {queue_wait = "soon"}}\n',
        "5",
        "'soon' is not a duration",
        None,
        id="no duration",
    ),
    pytest.param(
        APP + SEED + 'a = {modules = ["*"], instances = "1..2", target = {latency = "1s"}}\n',
        "5",
        "target.latency: unknown key",
        "known: cooldown, cpu",
        id="unknown metric",
    ),
    pytest.param(
        APP + SEED + 'a = {modules = ["*"], memory = "512"}\n', "5", "'512' is not a size", '"512MB"', id="memory without unit"
    ),
    pytest.param(APP + SEED + 'a = {modules = ["*"], memory = 512}\n', "5", "512 is not a text", None, id="memory as a number"),
    pytest.param(APP + "[gates]\nalpha = 2\n", "5", "gates.alpha: is 2.0, it must be above 0", None, id="sure of nothing"),
    pytest.param(APP + '[gates]\nbake = "long"\n', "5", "gates.bake: 'long' is not a duration", None, id="bake"),
    pytest.param(APP + "[gates]\nbake_s = 8\n", "5", "gates.bake_s: unknown key", "`bake`", id="gate's field with its unit"),
    pytest.param(APP + "[gates]\nmin_requests = 1.5\n", "5", "1.5 is not a whole number", None, id="half a request"),
    pytest.param(APP + 'inseparable = ["orders"]\n', "4", "'orders' is not a list of texts", None, id="no group"),
    pytest.param(
        APP + 'inseparable = [["orders"]]\n', "4", "['orders'] is not a group", '[["orders", "stock"]]', id="group of one"
    ),
    pytest.param(
        APP + 'inseparable = [["orders", "frnt"]]\n', "4", "'frnt' is no module", "`front`", id="module of a group misspelled"
    ),
    pytest.param(
        APP + SEED + 'a = {modules = ["*"]}\n[topology.seed.databases]\nordrs = {shards = 2}\n',
        "7",
        "databases.ordrs: 'ordrs' is no module",
        "`orders`",
        id="database of no module",
    ),
    pytest.param(
        APP + SEED + 'a = {modules = ["*"]}\n[topology.seed.databases]\norders = {shards = 0}\n',
        "7",
        "orders.shards: 0 is not between",
        None,
        id="no shard",
    ),
    pytest.param(APP + '[objectives.o]\nroute = "GET /"\n', "4", "target: is missing", "a number", id="objective without target"),
    pytest.param(APP + '[objectives.o]\nroute = "GET /"\ntarget = 100\n', "6", "100.0 percent", "99.9", id="target of all"),
    pytest.param(
        APP + '[objectives.o]\nroute = "GET /"\ntarget = nan\n', "6", "nan percent", "99.9", id="target that is no number"
    ),
    pytest.param(
        APP + f'[objectives.o]\nroute = "GET /"\ntarget = {"9" * 400}\n',
        "6",
        "is too large",
        None,
        id="target beyond all numbers",
    ),
    pytest.param(
        APP + '[objectives.o]\nroute = "GET /"\ntarget = 99.9\nlatency = "fast"\n',
        "7",
        "'fast' is not a duration",
        None,
        id="latency",
    ),
    pytest.param(APP + f"version = 0x{'f' * 5000}\n", "4", "is not a text", None, id="a number that cannot be printed"),
    pytest.param(APP + f"version.{'a.' * 2000}b = 1\n", "4", "is not a text", None, id="a key of two thousand parts"),
]


def faults_of(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse(text, file="ramet.toml")
    return caught.value


@pytest.mark.parametrize(("text", "line", "message", "hint"), MISTAKES)
def test_a_mistake_has_a_line_and_a_hint(text: str, line: str, message: str, hint: str | None) -> None:
    """What is wrong with which value, where, and what was meant; and one mistake is one error."""
    error = faults_of(text)
    assert error.where == f"ramet.toml:{line}"
    assert message in error.message
    if hint is not None:
        assert hint in (error.hint or "")


def test_all_mistakes_are_told_at_once() -> None:
    """Nobody wants to run a command five times to mend one file."""
    error = faults_of(APP + 'vrsion = "1"\n[http]\nprefix = "api"\n' + SEED + 'a = {modules = ["ordrs", "*"]}\n')
    assert error.message.startswith("3 mistakes:")
    for line in ("ramet.toml:4: app.vrsion", "ramet.toml:6: http.prefix", "ramet.toml:8: topology.seed.services.a.modules"):
        assert line in error.message
    assert "did you mean `version`?" in error.message


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"[app]\nversion = {'9' * 5000}\n", id="5000 digits"),
        pytest.param(f"a = {'[' * 100_000}{']' * 100_000}", id="nested a hundred thousand times"),
        pytest.param("[app]\nname = 'x", id="a text without end"),
        pytest.param("\ufeff[app]", id="a byte order mark"),
        pytest.param("\0", id="a zero byte"),
    ],
)
def test_what_is_not_toml_is_said_to_be(text: str) -> None:
    """Whatever the parser stumbles over."""
    assert "not TOML" in faults_of(text).message


def test_a_long_line_takes_no_longer_than_its_length() -> None:
    """The search for lines once took 40 s for 4000 spaces behind a bracket."""
    began = time.process_time()
    parse(APP.replace("[app]", f'[app]\nversion = """\n[{" " * 20_000}\n"""'))
    assert time.process_time() - began < 2


def test_what_is_missing_and_what_is_there_instead_are_both_told() -> None:
    """The key that was misspelled is found from either end."""
    message = faults_of(APP + "[topology.seed]\nservice = {}\n").message
    assert "ramet.toml:4: topology.seed.services: is missing" in message
    assert "ramet.toml:5: topology.seed.service: unknown key (did you mean `services`?)" in message


# What is right


def test_without_a_topology_there_is_one_service() -> None:
    """The smallest file that works."""
    topology = parse(APP).first_topology
    assert topology == Topology("seed", {"main": Service("main", ("orders", "front"))})


def test_a_star_takes_what_nobody_names() -> None:
    """In the order of the application's list, which is the order of everything else."""
    text = APP.replace('"shop.front"', '"shop.front", "shop.stock"') + SEED + 'a = {modules = ["front"]}\nb = {modules = ["*"]}\n'
    services = parse(text).topologies["seed"].services
    assert services["a"].modules == ("front",)
    assert services["b"].modules == ("orders", "stock")


def test_the_first_topology_of_the_file_is_the_one_meant() -> None:
    """Where a command names none."""
    text = APP + '[topology.b.services]\nx = {modules = ["*"]}\n[topology.a.services]\nx = {modules = ["*"]}\n'
    assert parse(text).first_topology.name == "b"


def test_an_objective_is_read_with_its_units() -> None:
    """Latency as people write it, seconds inside."""
    text = APP + '[objectives.read]\nroute = "GET /orders"\nlatency = "250ms"\ntarget = 99.9\n'
    read = parse(text).objectives["read"]
    assert (read.route, read.target) == ("GET /orders", 99.9)
    assert read.latency_s is not None
    assert math.isclose(read.latency_s, 0.25)


def test_a_service_with_a_range_starts_at_its_lower_end_and_has_limits() -> None:
    """What is not named has its default; a number alone is no range."""
    text = APP + SEED + 'a = {modules = ["orders"], instances = "2..8", target = {cpu = 1, window = "1m"}, memory = "512MB"}\n'
    services = parse(text + 'b = {modules = ["front"], instances = 3}\n').first_topology.services
    assert services["a"].instances == 2
    assert services["a"].limits == Limits(2, 8, Target(cpu=1.0, window_s=60.0))
    assert services["a"].memory_bytes == 512 * 2**20
    assert (services["b"].limits, services["b"].memory_bytes) == (None, None)


def test_a_limit_of_memory_is_the_largest_of_its_services_name() -> None:
    """Between two topologies both may run."""
    services = [f'[topology.{name}.services]\nweb = {{modules = ["*"]{memory}}}\n' for name, memory in
                [("a", ', memory = "2GB"'), ("b", ', memory = "1GB"'), ("c", "")]]  # fmt: skip
    assert parse(APP + "".join(services)).memory_limits == {"web": 2**31}
    assert parse(APP).memory_limits == {}


def test_gates_are_the_policy_with_what_the_file_says() -> None:
    """Durations as people write them; a canary has a minute where nothing is said."""
    assert parse(APP).gates == Policy(bake_s=60.0)
    text = '[gates]\nbake = "8s"\nmin_requests = 40\nalpha = 0.01\nmin = 5\n'
    assert parse(APP + text).gates == Policy(bake_s=8.0, min_requests=40, alpha=0.01, min_s=5.0)


def test_groups_and_layouts_of_databases_are_read() -> None:
    """Data only; plans judge them."""
    text = 'inseparable = [["orders", "front"]]\n' + SEED + 'a = {modules = ["*"]}\n[topology.seed.databases]\n'
    read = parse(APP + text + "orders = {shards = 2}\nfront = {replicas = 1}\n")
    assert read.inseparable == (("orders", "front"),)
    assert read.first_topology.databases == {"orders": Layout(2, 0), "front": Layout(1, 1)}


@st.composite
def applications(draw: st.DrawFn) -> tuple[str, dict[str, dict[str, list[str]]]]:
    """The text of a file without mistakes, and what it places where: topology -> service -> modules, a star for the rest."""
    names = draw(st.lists(st.from_regex(r"m[a-z0-9_]{0,6}", fullmatch=True), min_size=1, max_size=8, unique=True))
    text = f'[app]\nname = "shop"\nmodules = {[f"shop.{name}" for name in names]}\n'
    placed: dict[str, dict[str, list[str]]] = {}
    for topology in draw(st.lists(st.from_regex(r"t[a-z0-9-]{0,5}", fullmatch=True), max_size=3, unique=True)):
        owners = [draw(st.integers(0, 3)) for _ in names]
        services = {f"s{owner}": [n for n, o in zip(names, owners, strict=True) if o == owner] for owner in sorted(set(owners))}
        if draw(st.booleans()):
            last = next(reversed(services))
            services[last] = ["*"]
        placed[topology] = services
        text += f"[topology.{topology}.services]\n"
        for service, modules in services.items():
            text += f"{service} = {{ modules = {modules}, instances = {draw(st.integers(1, 1000))} }}\n"
    return text, placed


@settings(deadline=None)
@given(applications())
def test_each_module_has_exactly_one_service_in_each_topology(case: tuple[str, dict[str, dict[str, list[str]]]]) -> None:
    """A module has one owner: nothing else in Ramet asks who hosts it."""
    text, placed = case
    application = parse(text)
    assert set(application.topologies) == set(placed or {"seed": {}})
    for topology in application.topologies.values():
        hosted = [module for service in topology.services.values() for module in service.modules]
        assert sorted(hosted) == sorted(application.modules)
        for module in application.modules:
            assert module in topology.service_of(module).modules
        for name, modules in placed.get(topology.name, {}).items():
            assert modules == ["*"] or set(topology.services[name].modules) == set(modules)


# Whatever is in the file

WORDS = ["app", "name", "modules", "version", "engines", "postgres", "http", "prefix", "problems", "cors", "settings"]
WORDS += ["objectives", "route", "target", "latency", "topology", "seed", "services", "web", "instances", "*", "", "a.b", "é"]
WORDS += [
    "pooler",
    "pools",
    "gates",
    "bake",
    "alpha",
    "inseparable",
    "target",
    "cpu",
    "memory",
    "databases",
    "shards",
    "2..8",
    "512MB",
]
keys = st.sampled_from(WORDS) | st.text(max_size=5)
texts = (
    st.sampled_from(["shop", "shop.orders", "orders", "embedded", "postgresql://", "/api", "*", "5s", "GET /", "a:b"]) | st.text()
)
leaves = texts | st.integers() | st.floats() | st.booleans() | st.dates() | st.times() | st.datetimes()
anything = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8
)

TEMPLATE: dict[str, Any] = {
    "app": {"name": "shop", "modules": ["shop.orders", "shop.front"], "version": "1", "inseparable": [["orders", "front"]]},
    "engines": {"postgres": "embedded", "pooler": "postgresql://pgbouncer:6432/shop"},
    "pools": {"web": 8},
    "http": {"prefix": "/api", "problems": "shop.http:render", "cors": ["*"]},
    "settings": {"log_level": "INFO"},
    "objectives": {"read": {"route": "GET /", "latency": "1s", "target": 99.0}},
    "gates": {"bake": "8s", "min_requests": 40, "alpha": 0.01},
    "topology": {
        "seed": {
            "services": {
                "web": {"modules": ["front"], "instances": 2, "memory": "1GB"},
                "main": {
                    "modules": ["*"],
                    "instances": "2..8",
                    "target": {"cpu": 0.5, "in_flight": 10, "queue_wait": "20ms", "window": "1m", "cooldown": 5},
                },
            },
            "databases": {"orders": {"shards": 2, "replicas": 1}},
        }
    },
}


def places(value: dict[str, Any], above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    return [
        path
        for key, inner in value.items()
        for path in [(*above, key), *(places(inner, (*above, key)) if isinstance(inner, dict) else [])]
    ]


def as_toml(value: Any) -> str:
    """A value as inline TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{as_toml(key)} = {as_toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in value) + '"'
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def changed(path: tuple[str, ...], key: str | None, value: Any) -> dict[str, Any]:
    """The template with another value at a place, or with one key more beside it."""

    def copy(table: dict[str, Any], rest: tuple[str, ...]) -> dict[str, Any]:
        if len(rest) == 1:
            return {**table, (rest[0] if key is None else key): value}
        return {**table, rest[0]: copy(table[rest[0]], rest[1:])}

    return copy(TEMPLATE, path)


def read(text: str) -> Application | None:
    """None where it was refused, in words. Anything but a ConfigError is a failure of the test."""
    try:
        return parse(text)
    except ConfigError as error:
        assert error.message
        assert (error.where or "").startswith("ramet.toml")
        return None


@settings(deadline=None)
@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    """It is an application or a ConfigError."""
    read(text)


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([*WORDS, "[", "]", "{", "}", "=", ".", ",", "\n", '"', "'", "#", " ", '"""', "1", "true", "\r\n"]))
)
def test_no_heap_of_toml_breaks_the_reader(tokens: list[str]) -> None:
    """Nearer to what a person leaves half-written."""
    read("".join(tokens))


def test_the_template_is_right() -> None:
    """Else what follows would test nothing."""
    assert read("\n".join(f"{key} = {as_toml(value)}" for key, value in TEMPLATE.items()))


@pytest.mark.parametrize("path", places(TEMPLATE), ids=".".join)
@settings(deadline=None, max_examples=30)
@given(anything, st.none() | keys)
def test_no_value_at_any_place_breaks_the_reader(path: tuple[str, ...], value: Any, key: str | None) -> None:
    """Another type, or one key more. Where it is taken, each module still has exactly one service."""
    document = changed(path, key, value)
    application = read("\n".join(f"{as_toml(name)} = {as_toml(inner)}" for name, inner in document.items()))
    if application is not None:
        for topology in application.topologies.values():
            hosted = [module for service in topology.services.values() for module in service.modules]
            assert sorted(hosted) == sorted(application.modules)
