"""The vocabulary of a module's author: declarations, which the parts below interpret. Light: `import ramet` loads this.

Not here: anything that runs a call, opens a connection or serves a request.
"""

import inspect
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, ParamSpec, Protocol, TypedDict, TypeVar, Unpack, overload

from ramet.calls.facade import Call
from ramet.data.database import Database
from ramet.data.materialized import MaterializedResult
from ramet.errors import DeclarationError
from ramet.kit.durations import parse_duration_s
from ramet.model import http
from ramet.model.contract import CallContract, CallOptions, contract_of
from ramet.model.failure import Failure
from ramet.model.http import Endpoint, HttpOptions, Mount
from ramet.model.materialized import DEADLINE_S, materialized_of
from ramet.model.schedule import Schedule, schedule_of
from ramet.wire.context import Face

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

_NAME = r"[a-z][a-z0-9_]*"
DEFAULT_DEADLINE_S = 5.0
RESERVED = "ramet"
"""Name of the module behind which each instance is controlled."""


class Expose(Protocol):
    """What `@module.expose` and the HTTP verbs are: a plain `def` becomes a call that is awaited, the rest keeps its type."""

    # The overloads overlap: what returns a coroutine returns something. Type checkers take the first that fits.
    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, T]], /) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __call__(self, function: Callable[P, AsyncIterator[T]], /) -> Callable[P, AsyncIterator[T]]: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def __call__(self, function: Callable[P, T], /) -> Callable[P, Coroutine[Any, Any, T]]: ...


class VerbOptions(TypedDict, total=False):
    """What the HTTP verbs take: everything that `expose` takes, and what concerns HTTP."""

    raises: Sequence[type[Failure]]
    idempotent: bool
    once: bool
    deadline: str | float
    hedge_after: str | float | None
    status: int
    tags: Sequence[str]
    summary: str | None
    max_body_bytes: int | None


class Module:
    """A bounded context: the calls, endpoints and data that belong together.

        module = Module("articles", uses=["accounts"])

    name: lower case, unique in the application; it is a label, a schema and a role. uses: names of the modules that it calls;
    others refuse it.
    """

    def __init__(self, name: str, *, uses: Iterable[str] = ()) -> None:
        if isinstance(uses, str):
            raise DeclarationError(f"module `{name}`: uses={uses!r} is one text", hint=f"uses=[{uses!r}]")
        uses = frozenset(uses)
        for each in (name, *uses):
            if not re.fullmatch(_NAME, each) or len(each) > 48:
                raise DeclarationError(
                    f"{each!r} cannot name a module",
                    hint="lower-case letters, digits and _, beginning with a letter, at most 48",
                )
        if RESERVED in uses:
            raise DeclarationError(f"module `{name}` uses `{RESERVED}`, which is the instances' own control channel")
        if name in uses:
            raise DeclarationError(f"module `{name}` lists itself in uses")
        self.face = Face(name, uses)
        self.calls: dict[str, Call] = {}
        self.endpoints: list[Endpoint] = []
        self.mounts: list[Mount] = []
        self.schedules: dict[str, Schedule] = {}
        self.results: dict[str, MaterializedResult] = {}
        self.db: Database | None = None

    def __repr__(self) -> str:
        return f"<Module {self.name}: {len(self.calls)} calls, uses {', '.join(sorted(self.uses)) or 'none'}>"

    @property
    def name(self) -> str:
        return self.face.name

    @property
    def uses(self) -> frozenset[str]:
        return self.face.uses

    def database(self, *, key: str | None = None) -> Database:
        """The data that this module owns: a PostgreSQL schema and role of its own, which no other module can read.

            db = module.database(key="author_id")

        key: name of the value by which rows will be divided over shards; then every read and write names it, from day one.
        """
        if self.db is not None:
            raise DeclarationError(f"module `{self.name}` declares a second database", hint="a module's data is one schema")
        self.db = Database(self.name, key=key)
        return self.db

    def contract(self, call: str) -> CallContract | None:
        return self.calls[call].contract if call in self.calls else None

    @overload
    def expose(self, function: Callable[P, Coroutine[Any, Any, T]], /) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def expose(self, function: Callable[P, AsyncIterator[T]], /) -> Callable[P, AsyncIterator[T]]: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def expose(self, function: Callable[P, T], /) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def expose(
        self,
        /,
        *,
        raises: Sequence[type[Failure]] = ...,
        idempotent: bool = ...,
        once: bool = ...,
        deadline: str | float = ...,
        hedge_after: str | float | None = ...,
    ) -> Expose: ...
    def expose(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        raises: Sequence[type[Failure]] = (),
        idempotent: bool = False,
        once: bool = False,
        deadline: str | float = DEFAULT_DEADLINE_S,
        hedge_after: str | float | None = None,
    ) -> Any:
        """Make a function a call that other modules may make.

        raises: the failures that arrive as themselves; anything else arrives as RemoteError.
        idempotent: running it twice is as good as once, so it may be repeated when a reply is lost.
        once: it may be repeated with the same key, under which its module stores the result.
        deadline: time that it may take, `"500ms"` or seconds; default 5 s. For a stream: for each item.
        hedge_after: ask a second instance when the first has not answered by then; only with idempotent.

        Raises DeclarationError or UnwireableType, at import.
        """
        made = _options(raises=raises, idempotent=idempotent, once=once, deadline=deadline, hedge_after=hedge_after)

        def expose(function: Callable[..., Any]) -> Callable[..., Any]:
            return self._expose(function, made)

        return expose if function is None else expose(function)

    def get(self, path: str, **options: Unpack[VerbOptions]) -> Expose:
        """Expose a call and bind it to `GET path`. Takes what `expose` takes; a GET is idempotent by itself.

        path: `/articles/{slug}`; a name in braces is a parameter of the call, and other parameters come from query, header,
        cookie
        or body by their type (`ramet.model.http`). status: of a success. tags, summary: in the OpenAPI document; the summary
        is the
        docstring's first line by default. max_body_bytes: None for the instance's limit of 1 MiB.

        A function that takes or returns one of Starlette's own types is an endpoint and no call: those types cannot cross the
        wire.
        """
        return self._verb("GET", path, {"idempotent": not options.get("once", False), **options})

    def post(self, path: str, **options: Unpack[VerbOptions]) -> Expose:
        return self._verb("POST", path, options)

    def put(self, path: str, **options: Unpack[VerbOptions]) -> Expose:
        return self._verb("PUT", path, options)

    def patch(self, path: str, **options: Unpack[VerbOptions]) -> Expose:
        return self._verb("PATCH", path, options)

    def delete(self, path: str, **options: Unpack[VerbOptions]) -> Expose:
        return self._verb("DELETE", path, options)

    def websocket(self, path: str, *, raises: Sequence[type[Failure]] = ()) -> Callable[[F], F]:
        """Bind a function with a Starlette `WebSocket` parameter to a path."""

        def bind(function: F) -> F:
            if not http.needs_request(function):
                raise DeclarationError(
                    f"{self.name}.{function.__name__} takes no WebSocket", hint="async def talk(socket: WebSocket) -> None"
                )
            self.endpoints.append(
                http.endpoint_of_function(http.SOCKET_METHOD, path, self.name, function, HttpOptions(), raises=raises)
            )
            return function

        return bind

    def mount(
        self,
        app: Any,
        prefix: str = "",
        *,
        wsgi: bool | None = None,
        deadline: str | float | None = None,
        max_body_bytes: int | None = None,
    ) -> None:
        """Serve a whole ASGI or WSGI application (FastAPI, Django, Flask) below a prefix, unchanged.

        prefix: `/legacy`, or empty for everything that no endpoint takes. wsgi: None to see it from the application. deadline:
        until
        its response begins.
        """
        deadline_s = None if deadline is None else parse_duration_s(deadline)
        caller = inspect.currentframe()
        caller = caller and caller.f_back
        where = f"{caller.f_code.co_filename}:{caller.f_lineno}" if caller else ""
        made = http.mount_of(self.name, app, prefix, wsgi=wsgi, deadline_s=deadline_s, max_body_bytes=max_body_bytes, where=where)
        self.mounts.append(made)

    def every(self, period: str | float, *, deadline: str | float = DEFAULT_DEADLINE_S) -> Callable[[F], F]:
        """Run a function without parameters again and again, on the one instance that owns the module's schedules.

            @module.every("30s")
            async def forget_old_carts() -> None: ...

        period: from the start of a run to the start of the next, at least 100 ms. A run that takes longer is not joined by
        another: the beats that it misses are dropped. deadline: time that one run may take; default 5 s, as for a call. A plain
        `def` runs in a thread, which cannot be stopped: the next run waits for it.

        Raises DeclarationError, at import.
        """

        def schedule(function: F) -> F:
            made = schedule_of(self.name, function, period, deadline)
            if made.name in self.schedules:
                raise DeclarationError(
                    f"module `{self.name}` has two schedules `{made.name}`",
                    where=made.where,
                    hint=f"the first is at {self.schedules[made.name].where}",
                )
            self.schedules[made.name] = made
            return function

        return schedule

    def materialized(
        self,
        *,
        depends: Mapping[str, str] | Sequence[str],
        columns: Mapping[str, str],
        key: str | None = None,
        unique: Sequence[str] | None = None,
        every: str | float | None = None,
        max_stale: str | float | None = None,
        deadline: str | float = DEADLINE_S,
    ) -> Callable[[Callable[[], str]], MaterializedResult]:
        """Keep a query's rows in a table of the module's schema, named as the function, which returns the query.

            @module.materialized(
                depends={"favorites": "article_id"},
                columns={"article_id": "uuid", "favorites": "bigint"},
                key="article_id",
            )
            def article_stats() -> str:
                return "SELECT article_id, count(*) AS favorites FROM favorites WHERE article_id = ANY($1) GROUP BY article_id"

        depends: the tables that it reads, all of the module's own; with `key`, each with the column that holds the key. columns:
        name -> type, in SQL. key: the query takes keys as `$1` and gives their rows, so a change costs what it concerns. Without
        it all rows are computed with each refresh. unique: columns that tell rows apart; `key` alone by default. every: compute
        all anew this often, also without a change. max_stale: what is older is told. deadline: for one refresh; default 30 s.

        `ramet migrate new MODULE --materialized NAME` writes the migration that makes the table and what notes changes.
        Raises DeclarationError, at import.
        """

        def keep(function: Callable[[], str]) -> MaterializedResult:
            made = materialized_of(
                self.name,
                function,
                depends=depends,
                columns=columns,
                key=key,
                unique=unique,
                every=every,
                max_stale=max_stale,
                deadline=deadline,
            )
            if self.db is None:
                what = f"materialised {self.name}.{made.name} has no database"
                raise DeclarationError(what, where=made.where, hint="db = module.database(), above it")
            if made.name in self.results or made.name in self.schedules:
                raise DeclarationError(f"module `{self.name}` has two `{made.name}`", where=made.where, hint="rename one")
            self.results[made.name] = result = MaterializedResult(made, self.db)
            return result

        return keep

    def _verb(self, method: str, path: str, options: Mapping[str, Any]) -> Any:
        of_http = {name: options[name] for name in ("status", "tags", "summary", "max_body_bytes") if name in options}
        made = _options(**{name: value for name, value in options.items() if name not in of_http})
        http_options = HttpOptions(**of_http)

        def bind(function: Callable[..., Any]) -> Callable[..., Any]:
            if http.needs_request(function):
                self.endpoints.append(
                    http.endpoint_of_function(
                        method, path, self.name, function, http_options, raises=made.raises, deadline_s=made.deadline_s
                    )
                )
                return function
            facade = self._expose(function, made)
            self.endpoints.append(
                http.endpoint_of_call(method, path, self.calls[function.__name__].contract, function, http_options)
            )
            return facade

        return bind

    def _expose(self, function: Callable[..., Any], options: CallOptions) -> Callable[..., Any]:
        call = Call(contract_of(self.name, function, options), function, self.face)
        name = call.contract.name
        if name in self.calls:
            raise DeclarationError(
                f"module `{self.name}` exposes `{name}` twice",
                where=call.contract.where,
                hint=f"the first is at {self.calls[name].contract.where}",
            )
        self.calls[name] = call
        return call.facade


def _options(
    *,
    raises: Sequence[type[Failure]] = (),
    idempotent: bool = False,
    once: bool = False,
    deadline: str | float = DEFAULT_DEADLINE_S,
    hedge_after: str | float | None = None,
) -> CallOptions:
    if isinstance(raises, type):
        raise DeclarationError(f"raises={raises.__name__} is one class", hint=f"raises=[{raises.__name__}]")
    try:
        return CallOptions(
            raises=tuple(raises),
            idempotent=idempotent,
            once=once,
            deadline_s=parse_duration_s(deadline),
            hedge_after_s=None if hedge_after is None else parse_duration_s(hedge_after),
        )
    except ValueError as error:
        raise DeclarationError(str(error)) from None
