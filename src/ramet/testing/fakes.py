"""Another answer for a call, for the length of a test: `fake(call, result | function | error)`.

    async with fake(accounts.require_active, NotActive(7)) as asked:
        ...
    assert asked.calls == [{"user_id": 7}]

What is replaced is the call as other modules and the test make it; what its own module does is not. A fake keeps the contract, or
it proves nothing: its parameters are those of the call, its result goes through the codec, and its failures are declared. One
that does not is refused, at once where that can be seen, else at the end of the block.
"""

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from typing import Any, Protocol, cast

from ramet.calls import failures
from ramet.calls.facade import Call, call_of
from ramet.errors import BadAnswer, CallError
from ramet.kit.near import did_you_mean
from ramet.model.failure import Failure
from ramet.testing.errors import FakeRefused, Posed


class Fake:
    """calls: the arguments of each call that was made, by name, in order."""

    def __init__(self, call: Call, answer: Any) -> None:
        self.calls: list[dict[str, Any]] = []
        self.refused: FakeRefused | None = None
        """What it did against its contract. Raised at the end of the block: who called it may have swallowed it."""
        self.name = call.contract.qualified
        self._real = call
        self._answer = _answer_for(call, answer)
        function = self._stream if call.contract.streams else self._run
        self.call = Call(call.contract, function, call.face)
        """Like the real one, but for its function."""

    def __repr__(self) -> str:
        return f"<Fake of {self.name}, called {len(self.calls)} times>"

    async def _run(self, *args: Any, **keywords: Any) -> Any:
        return self._checked(await self._asked(args, keywords))

    async def _stream(self, *args: Any, **keywords: Any) -> AsyncIterator[Any]:
        items = await self._asked(args, keywords)
        if isinstance(items, AsyncIterator):
            async for item in cast("AsyncIterator[Any]", items):
                yield self._checked(item)
        else:
            for item in cast("Iterable[Any]", items):
                yield self._checked(item)

    async def _asked(self, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        by_position = (p.name for p in self._real.contract.parameters if not p.keyword_only)
        arguments = {**dict(zip(by_position, args, strict=True)), **keywords}
        self.calls.append(arguments)
        try:
            answer = self._answer(**arguments)
            return await answer if inspect.isawaitable(answer) else answer
        except CallError as error:
            raise Posed(self._posable(error)) from error
        except Failure as failure:
            if type(failure) not in self._real.contract.failures:
                raise self._refuse(_undeclared(self._real, failure)) from failure
            raise

    def _posable(self, error: CallError) -> CallError:
        if (refusal := _unposable(self._real, error)) is not None:
            raise self._refuse(refusal) from error
        return error

    def _checked(self, value: Any) -> Any:
        try:
            self._real.codec.copy_result(value)
        except BadAnswer as error:
            raise self._refuse(_unfit(self._real, error)) from error
        return value

    def _refuse(self, refusal: FakeRefused) -> FakeRefused:
        self.refused = self.refused or refusal
        return refusal


class Stage(Protocol):
    """Where a test runs, as far as fakes are concerned."""

    def replacing(self, fake: Fake) -> AbstractAsyncContextManager[None]: ...


current_stage: ContextVar[Stage | None] = ContextVar("ramet_testing_stage", default=None)


@asynccontextmanager
async def fake(call: Callable[..., Any], answer: Any = None) -> AsyncGenerator[Fake]:
    """Replace a call of a module for the block.

    answer: the result; a function, sync or async, with the call's parameters; or an error: a declared failure, any other
    exception (which callers see as RemoteError), a CallError such as `Unavailable("down", may_have_run=False)`. For a call that
    streams: the items.

    Raises FakeRefused, at the end of the block too.
    """
    stage = current_stage.get()
    if stage is None:
        raise FakeRefused("fake() outside of a placed test", hint="@pytest.mark.ramet on the test, and call it inside")
    try:
        made = Fake(call_of(call), answer)
    except TypeError as error:
        raise FakeRefused(str(error)) from None
    async with stage.replacing(made):
        yield made
    if made.refused is not None:
        raise made.refused


def _answer_for(call: Call, answer: Any) -> Callable[..., Any]:
    """A function of the call's parameters. Raises FakeRefused for what can be known not to fit."""
    if isinstance(answer, Exception):
        if isinstance(answer, Failure) and type(answer) not in call.contract.failures:
            raise _undeclared(call, answer)
        if isinstance(answer, CallError) and (refusal := _unposable(call, answer)) is not None:
            raise refusal

        def fail(**arguments: Any) -> Any:  # noqa: ARG001  (whatever it is asked)
            raise answer

        return fail
    if inspect.isroutine(answer) or (callable(answer) and not isinstance(answer, type)):
        _check_parameters(call, answer)
        return answer
    if call.contract.streams and not isinstance(answer, Iterable):
        raise FakeRefused(
            f"{call.contract.qualified} streams, and {answer!r} is no list of items", hint="fake(call, [first, second])"
        )
    values = list(cast("Iterable[Any]", answer)) if call.contract.streams else [cast("Any", answer)]
    for value in values:
        try:
            call.codec.copy_result(value)
        except BadAnswer as error:
            raise _unfit(call, error) from error

    def answered(**arguments: Any) -> Any:  # noqa: ARG001  (whatever it is asked)
        return values if call.contract.streams else values[0]

    return answered


def _check_parameters(call: Call, function: Callable[..., Any]) -> None:
    names = [parameter.name for parameter in call.contract.parameters]
    try:
        inspect.signature(function).bind(**dict.fromkeys(names))
    except TypeError as error:
        parameters = ", ".join(names)
        name = getattr(function, "__name__", repr(function))
        raise FakeRefused(
            f"{name} cannot stand for {call.contract.qualified}({parameters}): {error}",
            hint=f"its parameters are those of the call: def {name}({parameters})",
        ) from None


def _undeclared(call: Call, failure: Failure) -> FakeRefused:
    known = [cls.__name__ for cls in call.contract.failures]
    name = type(failure).__name__
    hint = did_you_mean(name, known) or f"raises=[{', '.join([*known, name])}] on {call.contract.qualified}"
    return FakeRefused(f"{call.contract.qualified} does not raise {name}: it is not in its `raises`", hint=hint)


def _unposable(call: Call, error: CallError) -> FakeRefused | None:
    if type(error) in failures.KINDS.values():
        return None
    known = ", ".join(sorted(cls.__name__ for cls in failures.KINDS.values()))
    return FakeRefused(
        f"{call.contract.qualified} cannot be made to end in {type(error).__name__} by its callee", hint=f"one of {known}"
    )


def _unfit(call: Call, error: BadAnswer) -> FakeRefused:
    return FakeRefused(
        f"the fake of {call.contract.qualified} answers what its contract does not allow: {error.message}",
        where=call.contract.where,
        hint=call.contract.signature,
    )
