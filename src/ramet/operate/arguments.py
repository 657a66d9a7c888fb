"""The arguments of a call as a person types them, to values of the contract's types. Pure.

    name=text       by the parameter's type: a number, a date, an enum's value; JSON where the type is no scalar
    name:=JSON      as it stands; also where a text would do
    name=a name=b   a list of scalars, item by item

All that is wrong is told at once, with the signature.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ramet.edge import codec
from ramet.errors import BadArgument
from ramet.kit.near import did_you_mean
from ramet.model import shapes
from ramet.model.contract import CallContract, Parameter
from ramet.model.http import is_array, is_scalar
from ramet.model.shapes import Shape
from ramet.wire.values import DECODE_ERRORS

_WORD = re.compile(r"([^\W\d]\w*)(:?=)(.*)", re.DOTALL)


class _Given(NamedTuple):
    text: str
    is_json: bool


class _Misfit(Exception):
    """message: what is wrong with one argument."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def parse(contract: CallContract, words: Sequence[str]) -> dict[str, Any]:
    """Name -> value, of those that were given. Raises BadArgument."""
    parameters = {parameter.name: parameter for parameter in contract.parameters}
    given, faults = _sorted_out(words, parameters)
    values: dict[str, Any] = {}
    for name, texts in given.items():
        try:
            values[name] = _value(parameters[name], texts)
        except _Misfit as error:
            faults.append(f"`{name}`: {error.message}")
    faults += [f"`{name}` is missing" for name, parameter in parameters.items() if parameter.is_required and name not in given]
    if faults:
        message = (
            faults[0] if len(faults) == 1 else "".join(f"\n  {fault}" for fault in (f"{len(faults)} mistakes", *faults)).strip()
        )
        raise BadArgument(message, may_have_run=False, call=contract.qualified, hint=contract.signature)
    return values


def _sorted_out(words: Sequence[str], parameters: dict[str, Parameter]) -> tuple[dict[str, list[_Given]], list[str]]:
    """What was given for which parameter, and what is wrong with the words themselves."""
    given: dict[str, list[_Given]] = {}
    faults: list[str] = []
    for word in words:
        match = _WORD.fullmatch(word)
        if match is None:
            faults.append(f"{word!r} names no parameter; write it as name=value, or name:=JSON")
        elif match[1] not in parameters:
            hint = did_you_mean(match[1], parameters)
            faults.append(f"there is no parameter `{match[1]}`{f'; {hint}' if hint else ''}")
        else:
            given.setdefault(match[1], []).append(_Given(match[3], is_json=match[2] == ":="))
    return given, faults


def _value(parameter: Parameter, given: list[_Given]) -> Any:
    shape = parameter.shape
    if is_array(shape) and not any(each.is_json for each in given):
        return _from_text(parameter, [each.text for each in given])
    if len(given) > 1:
        raise _Misfit(f"given {len(given)} times")
    text, is_json = given[0]
    if is_scalar(shape) and not is_json:
        return _from_text(parameter, text)
    try:
        plain = codec.decode_any(text.encode())
    except DECODE_ERRORS as error:
        as_what = "" if is_json else f" as JSON, since its type is {shapes.signature_of(shape)}"
        raise _Misfit(f"{text!r} cannot be read{as_what}: {error}") from error
    try:
        return codec.json_decoder(parameter.annotation)(text.encode())
    except DECODE_ERRORS as error:
        raise _Misfit(_misfits(parameter, plain, error, text=False)) from error


def _from_text(parameter: Parameter, text: str | list[str]) -> Any:
    convert = codec.text_converter(parameter.annotation)
    if convert is None:
        return text
    try:
        return convert(text)
    except DECODE_ERRORS as error:
        raise _Misfit(_misfits(parameter, text, error, text=True)) from error


def _misfits(parameter: Parameter, value: Any, error: Exception, *, text: bool) -> str:
    found = codec.misfits(parameter.annotation, value, text=text)
    told = "; ".join(f"{each.path}: {each.message}" if each.path else each.message for each in found) or str(error)
    known = [str(choice) for choice in _choices(parameter.shape)]
    if not known or not isinstance(value, str):
        return told
    return f"{value!r} is none of its values; {did_you_mean(value, known) or 'known: ' + ', '.join(known)}"


def _choices(shape: Shape) -> Iterator[Any]:
    """The values of an enum or of literals, `| None` included."""
    if shape["kind"] == "union":
        for member in shape["of"]:
            yield from _choices(member)
    elif shape["kind"] in {"enum", "literal"}:
        yield from shape["values"]
