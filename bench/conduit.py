"""Group `conduit`: a real application as one process, against FastAPI and SQLAlchemy: list, read and create articles.

Both run in one process on one core, on the same PostgreSQL, with the same rows, indexes and tokens, and without an access log;
only the CPU of the server's process counts. Ours is `examples/conduit` as an instance in production runs it: its four modules,
with deadlines, traces and metrics.
"""

import asyncio
import contextlib
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import msgspec

from bench import harness
from bench.harness import Calls, Effort
from bench.results import Figure, Report, at_least, table
from bench.subject import CannotRun, Drive, Place, Subject

EXAMPLES = Path(__file__).parent.parent / "examples"
sys.path[:0] = [str(EXAMPLES), str(EXAMPLES / "conduit")]

ENDPOINTS = ("list", "read", "create")
OURS, PEER = "ramet", "fastapi"
CONCURRENCY = 16
AUTHORS, ARTICLES = 100, 2000
SCENE = "RAMET_BENCH_CONDUIT"
"""Environment variable with the path of the Scene, for the children."""


class Scene(msgspec.Struct):
    """What both servers and their clients need to know. urls: module -> URL with its own role. admin: for the peer."""

    urls: dict[str, str]
    admin: str
    token: str
    public_key: str
    slugs: list[str]


def scene() -> Scene:
    if SCENE not in os.environ:
        raise CannotRun(f"{SCENE} is not set: start it by `python -m bench conduit`")
    return msgspec.json.decode(Path(os.environ[SCENE]).read_bytes(), type=Scene)


# The servers


@asynccontextmanager
async def serve_ramet(place: Place) -> AsyncGenerator[Sequence[int], None]:
    from ramet.model.launch import Launch
    from ramet.model.sharding import whole
    from ramet.model.topology import parse
    from ramet.process.__main__ import tune_collector
    from ramet.process.instance import Instance
    from ramet.process.modules import import_modules
    from ramet.settings import Settings

    file = EXAMPLES / "conduit" / "ramet.toml"
    application = parse(file.read_text(), file=str(file))
    launch = Launch(
        application=str(file),
        service="main",
        instance="main-1",
        modules=list(application.modules),
        state=str(place.folder),
        http_port=place.port,
        databases={module: whole(url) for module, url in scene().urls.items()},
    )
    instance = Instance(launch, application, import_modules(application), Settings(strict=False))
    tune_collector()
    async with AsyncExitStack() as stack:
        await instance.start(stack)
        yield ()


@asynccontextmanager
async def serve_fastapi(place: Place) -> AsyncGenerator[Sequence[int], None]:
    from bench.peers.conduit_fastapi.app import create_app
    from bench.peers.on_uvicorn import serving

    found = scene()
    app, engine = create_app(found.admin.replace("postgresql://", "postgresql+asyncpg://"), found.public_key)
    async with serving(app, place):
        yield ()
    await engine.dispose()


# The client, the same for both


def client(endpoint: str) -> Callable[[Place], contextlib.AbstractAsyncContextManager[Drive]]:
    @asynccontextmanager
    async def connect(place: Place) -> AsyncGenerator[Drive, None]:
        from conduit_load.http1 import Connection

        found = scene()
        chance = random.Random(place.port)
        loop = asyncio.get_running_loop()
        opened = [(await loop.create_connection(Connection, place.host, place.port))[1] for _ in range(CONCURRENCY)]
        head = f"host: {place.host}\r\nauthorization: Token {found.token}\r\n"

        def request() -> bytes:
            if endpoint == "list":
                return f"GET /api/articles HTTP/1.1\r\n{head}\r\n".encode()
            if endpoint == "read":
                return f"GET /api/articles/{chance.choice(found.slugs)} HTTP/1.1\r\n{head}\r\n".encode()
            title = f"Written {chance.getrandbits(64):x}"
            article = {"title": title, "description": "About it", "body": BODY, "tagList": ["tag-1", "tag-2"]}
            body = msgspec.json.encode({"article": article})
            rest = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            return f"POST /api/articles HTTP/1.1\r\n{head}{rest}".encode() + body

        async def worker(connection: Connection, until: float, latencies: list[float]) -> None:
            while (start := time.perf_counter()) < until:
                answer = await connection.send(request())
                latencies.append(time.perf_counter() - start)
                if answer.status != EXPECTED[endpoint]:
                    raise AssertionError(f"{endpoint}: {answer}")
            check(endpoint, answer.body)

        async def drive(concurrency: int, until: float, latencies: list[float]) -> None:
            async with asyncio.TaskGroup() as workers:
                for connection in opened[:concurrency]:
                    workers.create_task(worker(connection, until, latencies))

        yield drive
        for connection in opened:
            connection.transport.close()

    return connect


BODY = "It was the best of times, it was the worst of times. " * 20
EXPECTED = {"list": 200, "read": 200, "create": 201}


def check(endpoint: str, body: bytes) -> None:
    """That it did the work, and the same as the other."""
    value = msgspec.json.decode(body)
    articles = value["articles"] if endpoint == "list" else [value["article"]]
    keys = {"slug", "title", "description", "tagList", "createdAt", "updatedAt", "favorited", "favoritesCount", "author"}
    for article in articles:
        if set(article) - {"body"} != keys or set(article["author"]) != {"username", "bio", "image", "following"}:
            raise AssertionError(f"{endpoint}: {article}")
    if endpoint == "list" and (len(articles) != 20 or value["articlesCount"] < ARTICLES):
        raise AssertionError(f"list: {len(articles)} of {value['articlesCount']}")


RAMET_LIST, RAMET_READ, RAMET_CREATE = (Subject(serve_ramet, client(endpoint)) for endpoint in ENDPOINTS)
FASTAPI_LIST, FASTAPI_READ, FASTAPI_CREATE = (Subject(serve_fastapi, client(endpoint)) for endpoint in ENDPOINTS)
SUBJECTS = {
    f"{name} {endpoint}": f"bench.conduit:{name.upper()}_{endpoint.upper()}" for name in (OURS, PEER) for endpoint in ENDPOINTS
}


# The scene


@contextmanager
def database() -> Generator[None, None, None]:
    """A PostgreSQL with conduit's tables, filled; its Scene is in the environment."""
    folder = Path(tempfile.mkdtemp(prefix="ramet-bench-"))
    try:
        with asyncio.Runner() as runner:
            stack = AsyncExitStack()
            try:
                found = runner.run(_prepare(folder, stack))
                path = folder / "scene.json"
                path.write_bytes(msgspec.json.encode(found))
                os.environ[SCENE] = str(path)
                yield
            finally:
                os.environ.pop(SCENE, None)
                runner.run(stack.aclose())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _prepare(folder: Path, stack: AsyncExitStack) -> Scene:
    import asyncpg
    from conduit.accounts import tokens

    from ramet.model.topology import parse
    from ramet.operate.databases import DatabaseServer
    from ramet.operate.folder import Folder
    from ramet.process.modules import import_modules

    file = EXAMPLES / "conduit" / "ramet.toml"
    application = parse(file.read_text(), file=str(file))
    server = DatabaseServer(application, import_modules(application).values(), Folder(folder), lambda _: None)
    await server.start()
    stack.push_async_callback(server.stop)
    await server.provision()
    await server.migrate(lambda *_: None)
    key = tokens.new_key()
    connection = await asyncpg.connect(server._server.url())
    await connection.execute(FILL.format(authors=AUTHORS, articles=ARTICLES, body=BODY))
    await connection.execute("INSERT INTO accounts.signing_key (pem) VALUES ($1)", key)
    slugs = [row[0] for row in await connection.fetch("SELECT slug FROM articles.articles")]
    await connection.close()
    return Scene(dict(server.urls()), server._server.url(), tokens.token_of(1, key), tokens.public_key_of(key), slugs)


FILL = """
    INSERT INTO accounts.users (username, email, password, bio)
        SELECT 'user-' || n, 'user-' || n || '@example.org', 'no password', 'I am number ' || n
        FROM generate_series(1, {authors}) n;
    INSERT INTO articles.articles (slug, title, description, body, tag_list, author_id, created_at, updated_at)
        SELECT 'article-' || n, 'Article ' || n, 'About ' || n, '{body}', ARRAY['tag-' || n % 40, 'tag-' || n % 7],
               n % {authors} + 1, now() - n * interval '1 minute', now() - n * interval '1 minute'
        FROM generate_series(1, {articles}) n;
    INSERT INTO social.favorites (article_id, user_id)
        SELECT a, u FROM generate_series(1, {articles}) a, generate_series(1, {authors}) u WHERE (a * 7 + u * 13) % 17 = 0;
    INSERT INTO social.follows (follower_id, followed_id)
        SELECT f, t FROM generate_series(1, {authors}) f, generate_series(1, {authors}) t WHERE (f * 3 + t * 5) % 11 = 0;
    ANALYZE
"""


# The figures


def server_us(calls: Calls, name: str, endpoint: str) -> float:
    return calls.at(f"{name} {endpoint}", CONCURRENCY).server_us


def mix_us(calls: Calls, name: str) -> float:
    """Of one request of each kind."""
    return sum(server_us(calls, name, endpoint) for endpoint in ENDPOINTS) / len(ENDPOINTS)


def each_ratio(calls: Calls) -> dict[str, float]:
    return {f"{endpoint} alone": server_us(calls, PEER, endpoint) / server_us(calls, OURS, endpoint) for endpoint in ENDPOINTS}


FIGURES: list[Figure[Calls]] = [
    Figure(
        "conduit.rps_per_core_ratio_fastapi",
        "x fastapi+sqlalchemy",
        value=lambda calls: mix_us(calls, PEER) / mix_us(calls, OURS),
        peers=each_ratio,
        goal=at_least(3),
    ),
    Figure(
        "conduit.rps_per_core",
        "requests per CPU second",
        value=lambda calls: 1e6 / mix_us(calls, OURS),
        peers=lambda calls: {"fastapi+sqlalchemy": 1e6 / mix_us(calls, PEER)},
    ),
]


def measure(effort: Effort) -> Report:
    with database():
        calls = harness.run(SUBJECTS, (CONCURRENCY,), effort)
    cells = calls.at_each(CONCURRENCY)
    rows = [
        (name, *(f"{figure:,.0f}" for figure in (cell.server_us, 1e6 / cell.server_us, cell.rps, cell.p50_us, cell.p99_us)))
        for name, cell in cells.items()
    ]
    head = ("subject", "server us", "per CPU second", "requests/s", "p50 us", "p99 us")
    skipped = [f"SKIPPED {name}: {reason.splitlines()[0]}" for name, reason in calls.refused.items()]
    title = f"conduit, {CONCURRENCY} connections (CPU of the server's process: best round; the rest: median round)"
    return Report.of("\n".join([title, table(head, rows), *skipped]), FIGURES, calls)
