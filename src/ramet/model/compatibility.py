"""Can a caller of one version talk to a callee of another? Pure comparison of contract descriptors.

Additive differences pass: optional parameters, new fields that have a default, wider parameters, narrower results. The rest is
refused, with the reason for each place.
"""

from dataclasses import dataclass
from typing import Any

from ramet.model.shapes import Shape, signature_of

Descriptor = dict[str, Any]

NOT_SENT = "the reader requires it, the writer does not send it"
MAY_BE_ABSENT = "the reader requires it, the writer may leave it out"
"""Reasons of a Difference that have a way out of their own."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that breaks. `at` is a path such as `author.name` or `result.tags[]`."""

    at: str
    reason: str

    def __str__(self) -> str:
        return f"{self.at}: {self.reason}"


def differences(caller: Descriptor, callee: Descriptor) -> list[Difference]:
    """What keeps a caller with one descriptor from calling a callee with the other. Empty: they are compatible.

    A parameter that only the caller knows is compatible while it is optional: a caller that leaves it at its default does not
    send it, and one that sets it is refused at that call.
    """
    found: list[Difference] = []
    if caller["streams"] != callee["streams"]:
        return [Difference("result", "one side streams it, the other does not")]
    sent = {parameter["name"]: parameter for parameter in caller["parameters"]}
    taken = {parameter["name"]: parameter for parameter in callee["parameters"]}
    for name, parameter in taken.items():
        if name in sent:
            found += _breaks(reader=parameter["type"], writer=sent[name]["type"], at=name)
        elif parameter["required"]:
            found.append(Difference(name, "the callee requires it, the caller does not know it"))
    found += [
        Difference(name, "the caller always sends it, the callee does not know it")
        for name, p in sent.items()
        if p["required"] and name not in taken
    ]
    return found + _breaks(reader=caller["result"], writer=callee["result"], at="result")


def _breaks(*, reader: Shape, writer: Shape, at: str) -> list[Difference]:
    return _Comparison().compare(reader, writer, at, (), ())


class _Comparison:
    """One walk over two shapes. Pairs of structs that are being compared count as equal, which ends recursion."""

    def __init__(self) -> None:
        self._assumed: set[tuple[int, int]] = set()

    def compare(
        self, reader: Shape, writer: Shape, at: str, above_r: tuple[Shape, ...], above_w: tuple[Shape, ...]
    ) -> list[Difference]:
        if reader["kind"] == "ref":
            target, above = _referred(reader, above_r)
            return self.compare(target, writer, at, above, above_w)
        if writer["kind"] == "ref":
            target, above = _referred(writer, above_w)
            return self.compare(reader, target, at, above_r, above)
        if reader["kind"] == "any":
            return []
        if writer["kind"] == "union":
            return [broken for member in writer["of"] for broken in self.compare(reader, member, at, above_r, above_w)]
        if reader["kind"] == "union":
            if any(not self.compare(member, writer, at, above_r, above_w) for member in reader["of"]):
                return []
            return [_mismatch(reader, writer, at)]
        return self._same_kind(reader, writer, at, above_r, above_w)

    def _same_kind(
        self, reader: Shape, writer: Shape, at: str, above_r: tuple[Shape, ...], above_w: tuple[Shape, ...]
    ) -> list[Difference]:
        kind = reader["kind"]
        if reader.get("limits") not in (None, writer.get("limits")):
            return [_mismatch(reader, writer, at)]
        if kind in {"literal", "enum"} and writer["kind"] in {"literal", "enum"}:
            known = [repr(value) for value in reader["values"]]  # by repr, since True == 1
            missing = [value for value in writer["values"] if repr(value) not in known]
            return [Difference(at, f"{missing[0]!r} may be sent, the reader knows {signature_of(reader)}")] if missing else []
        if writer["kind"] in {"literal", "enum"} and kind in {"str", "int"}:
            wanted = str if kind == "str" else int
            return [] if all(type(value) is wanted for value in writer["values"]) else [_mismatch(reader, writer, at)]
        if kind == "float" and writer["kind"] == "int":
            return []
        if kind != writer["kind"]:
            return [_mismatch(reader, writer, at)]
        match kind:
            case "array":
                return self.compare(reader["item"], writer["item"], f"{at}[]", above_r, above_w)
            case "map":
                return self.compare(reader["key"], writer["key"], f"{at} key", above_r, above_w) + self.compare(
                    reader["value"], writer["value"], f"{at}[]", above_r, above_w
                )
            case "tuple":
                if len(reader["items"]) != len(writer["items"]):
                    return [_mismatch(reader, writer, at)]
                pairs = enumerate(zip(reader["items"], writer["items"], strict=True))
                return [broken for index, (r, w) in pairs for broken in self.compare(r, w, f"{at}[{index}]", above_r, above_w)]
            case "struct" | "json":
                return self._structs(reader, writer, at, above_r, above_w)
            case _:
                return []

    def _structs(
        self, reader: Shape, writer: Shape, at: str, above_r: tuple[Shape, ...], above_w: tuple[Shape, ...]
    ) -> list[Difference]:
        pair = (id(reader), id(writer))
        if pair in self._assumed:
            return []
        self._assumed.add(pair)
        if reader.get("tag") != writer.get("tag"):
            return [Difference(at, f"the tag of {writer['name']} is {writer.get('tag')}, the reader expects {reader.get('tag')}")]
        if reader.get("positional") != writer.get("positional"):
            return [Difference(at, "one side sends the fields by position, the other by name")]
        below_r, below_w = (*above_r, reader), (*above_w, writer)
        if reader.get("positional"):
            return self._positional(reader, writer, at, below_r, below_w)
        written = {field["name"]: field for field in writer["fields"]}
        found: list[Difference] = []
        for field in reader["fields"]:
            path = f"{at}.{field['name']}"
            if field["name"] not in written:
                if field["required"]:
                    found.append(Difference(path, NOT_SENT))
            elif field["required"] and not written[field["name"]]["required"] and _may_be_absent(writer):
                found.append(Difference(path, MAY_BE_ABSENT))
            else:
                found += self.compare(field["type"], written[field["name"]]["type"], path, below_r, below_w)
        if reader.get("closed"):
            known = {field["name"] for field in reader["fields"]}
            found += [
                Difference(f"{at}.{name}", "the writer sends it, the reader forbids unknown fields")
                for name in written
                if name not in known
            ]
        return found

    def _positional(
        self, reader: Shape, writer: Shape, at: str, below_r: tuple[Shape, ...], below_w: tuple[Shape, ...]
    ) -> list[Difference]:
        found: list[Difference] = []
        for index, field in enumerate(reader["fields"]):
            if index >= len(writer["fields"]):
                if field["required"]:
                    found.append(
                        Difference(f"{at}[{index}]", f"the reader requires `{field['name']}`, the writer does not send it")
                    )
            else:
                found += self.compare(field["type"], writer["fields"][index]["type"], f"{at}[{index}]", below_r, below_w)
        if reader.get("closed"):
            found += [
                Difference(f"{at}[{len(reader['fields']) + extra}]", "the writer sends it, the reader takes no more fields")
                for extra in range(len(writer["fields"]) - len(reader["fields"]))
            ]
        return found


def _referred(ref: Shape, above: tuple[Shape, ...]) -> tuple[Shape, tuple[Shape, ...]]:
    """The struct that a `ref` means, and those above that one."""
    up: int = ref["up"]
    return above[-1 - up], above[: len(above) - 1 - up]


def _may_be_absent(writer: Shape) -> bool:
    # A TypedDict field that is not required may be missing; a Struct or dataclass always sends its fields. The shapes do not
    # tell them apart, so the careful answer is the first.
    return writer["kind"] == "struct"


def _mismatch(reader: Shape, writer: Shape, at: str) -> Difference:
    return Difference(at, f"{signature_of(writer)} is sent, the reader expects {signature_of(reader)}")
