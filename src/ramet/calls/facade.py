"""The function that stands in a module's face, in place of the one its author wrote.

It is generated once per call, with the author's own parameters, and lives as long as the process; placement only changes what
it does. Its fast path is a local call at its cheapest: arguments of exactly the declared types, a deadline that the tree's is
nearer than, a call that need not be timed. Everything else goes through `slow`: a call to another instance, a strict check, a
timed call, a value that needs converting. `budget_s` is the gate: below every context's budget, nothing takes the fast path.

    fast ──(`left` used up)──> timed
      └──(not bound here, strict, a value of another type, a shorter deadline)──> slow

`left` counts down the calls until the next one that is timed. It stays under 256, where CPython has its integers ready made.

This file is part of `import ramet` and must not load the event loop.
"""

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ramet.model.contract import CallContract
from ramet.wire.calls import CallCodec
from ramet.wire.context import Face, current
from ramet.wire.copying import copier, type_test

CLOSED_S = -1.0
"""No context has a budget below it: the fast path is closed."""

Slow = Callable[[tuple[Any, ...]], Any]
"""Takes all arguments in the order of the contract; returns an awaitable, or an async iterator where the contract streams."""


class Exposes(Protocol):
    """A Module, as far as calls are concerned."""

    @property
    def name(self) -> str: ...
    @property
    def uses(self) -> frozenset[str]: ...
    @property
    def face(self) -> Face: ...
    @property
    def calls(self) -> "Mapping[str, Call]": ...


class Call:
    """One call of a module: its contract, the author's function, and the facade with its controls."""

    __slots__ = (
        "_bind",
        "_refill",
        "_remaining",
        "codec",
        "contract",
        "copies",
        "facade",
        "face",
        "function",
        "is_bound",
    )

    def __init__(self, contract: CallContract, function: Callable[..., Any], face: Face) -> None:
        self.contract = contract
        self.function = function
        self.face = face._replace(call=contract.qualified)
        self.codec = CallCodec(contract)
        self.is_bound = False
        self.copies = [
            copier(parameter.annotation, functools.partial(self._copy_one, index))
            for index, parameter in enumerate(contract.parameters)
        ]
        self.facade, self._bind, self._refill, self._remaining = _make(self)
        self.unbind()

    def __repr__(self) -> str:
        return f"<Call {self.contract.signature}{'' if self.is_bound else ', not bound'}>"

    def bind(
        self,
        slow: Slow,
        *,
        timed: Slow | None = None,
        budget_s: float = CLOSED_S,
        function: Callable[..., Any] | None = None,
        translate: Callable[[Exception], Exception] | None = None,
    ) -> None:
        """Say what the facade does from now on. Calls under way are not touched.

        slow: takes any call. timed: one whose arguments are of the declared types, and copied. function, translate: of the
        fast path, open for calls under a deadline that is nearer than `budget_s`.
        """
        self.is_bound = True
        self._bind(slow, timed, budget_s, function, translate)

    def unbind(self) -> None:
        """Back to the state after import: the first call binds to this process."""
        self.is_bound = False
        self._bind(functools.partial(_bind_and_call, self), None, CLOSED_S, None, None)

    def refill(self, calls: int) -> None:
        """Let so many calls (at most 255) take the fast path before the next is timed."""
        self._refill(calls)

    def remaining(self) -> int:
        return self._remaining()

    def _copy_one(self, index: int, value: Any) -> Any:
        # The codec takes all arguments together; the others stand aside.
        return self.codec.copy_argument(index, value)


def _bind_and_call(call: Call, args: tuple[Any, ...]) -> Any:
    # Deferred on purpose: the event loop is no part of a module author's vocabulary, and `import ramet` stays light.
    importlib.import_module("ramet.calls.local").bind(call)
    return call.facade(**dict(zip((parameter.name for parameter in call.contract.parameters), args, strict=True)))


# Names of our own begin with `_ramet`, so that no parameter of the author's can hide one.
_UNARY = """\
def _ramet_make(_ramet_context):
    _ramet_slow = _ramet_timed = _ramet_function = _ramet_translate = None
    _ramet_left = 0
    _ramet_budget_s = -1.0
    async def {name}({signature}):
        nonlocal _ramet_left
        if _ramet_context().budget_s <= _ramet_budget_s{tests}:{copies}
            if not _ramet_left:
                {timed}
            _ramet_left -= 1
            try:
                {result}await _ramet_function({keywords})
            except Exception as _ramet_error:
                raise _ramet_translate(_ramet_error)
{finish}        return await _ramet_slow(({args}))
    def bind(slow, timed, budget_s, function, translate):
        nonlocal _ramet_slow, _ramet_timed, _ramet_budget_s, _ramet_left, _ramet_function, _ramet_translate
        _ramet_slow, _ramet_timed, _ramet_budget_s = slow, timed, budget_s
        _ramet_function, _ramet_translate = function, translate
        _ramet_left = 0
    def refill(calls):
        nonlocal _ramet_left
        _ramet_left = calls
    return {name}, bind, refill, lambda: _ramet_left
"""

_STREAM = """\
def _ramet_make(_ramet_context):
    _ramet_slow = None
    def {name}({signature}):
        return _ramet_slow(({args}))
    def bind(slow, timed, budget_s, function, translate):
        nonlocal _ramet_slow
        _ramet_slow = slow
    return {name}, bind, lambda calls: None, lambda: 0
"""


def _make(call: Call) -> tuple[Callable[..., Any], Callable[..., None], Callable[[int], None], Callable[[], int]]:
    contract = call.contract
    names: dict[str, Any] = {}
    tests: list[str] = []
    copies: list[str] = []
    for index, (parameter, copy) in enumerate(zip(contract.parameters, call.copies, strict=True)):
        if copy is not None:
            names[f"_ramet_copy_{index}"] = copy
            copies.append(f"\n            {parameter.name} = _ramet_copy_{index}({parameter.name})")
        elif (test := type_test(parameter.annotation, parameter.name, prefix=f"_ramet_type_{index}")) is not None:
            source, used = test
            names |= used
            tests.append(f" and ({source})")
        else:
            tests.append(" and False")  # only the codec can tell whether the value is of its type
    result_copy = None if contract.streams else copier(contract.result, call.codec.copy_result)
    names["_ramet_copy_result"] = result_copy
    args = "".join(f"{parameter.name}, " for parameter in contract.parameters)
    timed = f"await _ramet_timed(({args}))"
    text = (_STREAM if contract.streams else _UNARY).format(
        name=contract.name,
        signature=_signature(contract, names),
        tests="".join(tests),
        copies="".join(copies),
        keywords=", ".join(f"{p.name}={p.name}" if p.keyword_only else p.name for p in contract.parameters),
        args=args,
        timed=f"return _ramet_copy_result({timed})" if result_copy else f"return {timed}",
        result="_ramet_result = " if result_copy else "return ",
        finish="            return _ramet_copy_result(_ramet_result)\n" if result_copy else "",
    )
    exec(compile(text, f"<facade of {contract.qualified}>", "exec"), names)  # noqa: S102  (our own text over names that Python has accepted)
    facade, bind, refill, remaining = names["_ramet_make"](current.get)
    functools.update_wrapper(facade, call.function)
    facade.call = call
    return facade, bind, refill, remaining


def _signature(contract: CallContract, names: dict[str, Any]) -> str:
    parts: list[str] = []
    for index, parameter in enumerate(contract.parameters):
        if parameter.keyword_only and "*" not in parts:
            parts.append("*")
        if parameter.is_required:
            parts.append(parameter.name)
        else:
            names[f"_ramet_default_{index}"] = parameter.default
            parts.append(f"{parameter.name}=_ramet_default_{index}")
    return ", ".join(parts)


def call_of(facade: Callable[..., Any]) -> Call:
    """The Call behind an exposed function. Raises TypeError for any other function."""
    call = getattr(facade, "call", None)
    if not isinstance(call, Call):
        name = getattr(inspect.unwrap(facade), "__qualname__", repr(facade))
        raise TypeError(f"{name} is not a call of a module; expose it with @module.expose")
    return call
