"""The examples of docs/reference/wire.md are what the real code sends: each is sent, and each answer compared byte for byte."""

import ast
import asyncio
import hashlib
import json
import struct
import tempfile
from pathlib import Path

import msgspec

from ramet.model import shapes
from ramet.wire import frames
from tests.docs.example import DOCS, Orders, blocks, hexdumps, serving

PAGE = "reference/wire.md"
SOURCE = DOCS.parent / "src" / "ramet"

TALK = [
    ("hello", ["hello-answer"]),
    ("call", ["result"]),
    ("call-gone", ["failure"]),
    ("call-bug", ["remote-error"]),
    ("call-by-name", ["chunk", None, "end"]),
    ("credit", []),
    ("cancel", []),
    ("ping", ["pong"]),
    ("call-extras", [None]),
    ("call-bad", ["bad-argument"]),
    ("call-not-agreed", ["refuse"]),
]
"""What is sent, and the blocks that answer it. None: an answer that the page does not show."""


def call(number: int, *arguments: object) -> bytes:
    """A CALL like those of the page, for those that it does not show."""
    head = (5000, bytes.fromhex("0af7651916cd43dd8448eb211c80319c"), bytes.fromhex("b7ad6b7169203331"), 1, None)
    return frames.frame(frames.Kind.CALL, call=number, body=msgspec.msgpack.encode((*head, *arguments)))


async def read(reader: asyncio.StreamReader) -> bytes:
    length = await reader.readexactly(4)
    return length + await reader.readexactly(struct.unpack(">I", length)[0])


def test_the_real_server_gives_the_answers_of_the_page() -> None:
    """In the order of the page, on one connection."""
    shown = hexdumps(PAGE)
    sent = {"call-gone": call(2, "gone", 1), "call-bug": call(3, "bug", 1), "call-bad": call(6, "b-17", "two"), **shown}
    unused = set(shown)

    async def main() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with serving(Path(folder)) as (_, _, door):
                reader, writer = await asyncio.open_unix_connection(str(door))
                for name, answers in TALK:
                    unused.discard(name)
                    writer.write(sent[name])
                    for expected in answers:
                        got = await asyncio.wait_for(read(reader), 5)
                        if expected is not None:
                            unused.discard(expected)
                            assert got == shown[expected], f"{expected} is now:\n{dump(got)}"
                writer.close()

    asyncio.run(main())
    assert unused == {"drain", "kinds"}, "each dump is checked, here or below"
    assert shown["drain"] == frames.frame(frames.Kind.DRAIN)


def test_one_of_each_type_is_written_as_the_page_shows() -> None:
    """The table of types in one value."""
    hello = msgspec.msgpack.decode(hexdumps(PAGE)["hello"][12:]) | {"table": [["front", "orders.kinds", ""]]}

    async def main() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with serving(Path(folder)) as (_, _, door):
                reader, writer = await asyncio.open_unix_connection(str(door))
                writer.write(frames.frame(frames.Kind.HELLO, body=msgspec.msgpack.encode(hello)))
                await read(reader)
                writer.write(call(1))
                got = await asyncio.wait_for(read(reader), 5)
                assert got == hexdumps(PAGE)["kinds"], f"kinds is now:\n{dump(got)}"
                writer.close()

    asyncio.run(main())


def test_the_text_below_a_dump_is_its_body() -> None:
    """The literals are not a second truth."""
    shown = hexdumps(PAGE)
    literals = {name: text for name, text, _ in blocks(PAGE, "text") if name in shown}
    assert literals
    for name, text in literals.items():
        assert ast.literal_eval(text) == msgspec.msgpack.decode(shown[name][12:]), name


def test_the_contract_and_its_hash_are_those_of_the_code() -> None:
    """By the code, and again by the recipe of the page in plain Python."""
    contract = Orders().module.calls["reserve"].contract
    shown = {name: text for kind in ("json", "text") for name, text, _ in blocks(PAGE, kind)}
    descriptor = json.loads(shown["descriptor"])
    assert descriptor == contract.descriptor
    canonical = json.dumps(without_names(descriptor), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert canonical == shown["canonical"].strip().encode() == shapes.canonical(shapes.unnamed(contract.descriptor))
    assert hashlib.sha256(canonical).hexdigest()[:16] == shown["hash"].strip() == contract.hash


def without_names(value: object) -> object:
    match value:
        case dict():
            drop = value.get("kind") in {"struct", "enum", "json"}
            return {key: without_names(each) for key, each in value.items() if not (drop and key == "name")}
        case list():
            return [without_names(each) for each in value]
        case _:
            return value


def test_every_refusal_of_the_code_is_in_the_table() -> None:
    """And the table has no other."""
    raised = {
        node.args[0].value
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "ProtocolError"
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }
    table = (DOCS / PAGE).read_text().split("## Refusals")[1].split("## Limits")[0]
    assert {line.split("`")[1] for line in table.splitlines() if line.startswith("| `")} == raised


def test_every_kind_of_frame_is_in_the_table() -> None:
    """With its number."""
    page = (DOCS / PAGE).read_text()
    for kind in frames.Kind:
        assert f"\n| {kind.value} | {kind.name} |" in page


def dump(data: bytes) -> str:
    lines = []
    for at in range(0, len(data), 16):
        part = data[at : at + 16]
        text = "".join(chr(each) if 32 <= each < 127 and each != 96 else "." for each in part)
        lines.append(f"{at:04x}  {part.hex(' '):<48} {text}")
    return "\n".join(lines)
