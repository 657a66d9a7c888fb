"""What the README shows is so: its code compiles, its error is what is raised, its links lead somewhere."""

import asyncio
import re
import tomllib

import pytest

from ramet import Module
from ramet.errors import RemoteError, UndeclaredUse
from ramet.model.topology import parse
from tests.docs.example import DOCS

ROOT = DOCS.parent
TEXT = (ROOT / "README.md").read_text()


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}[^\n]*\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_its_python_compiles_and_its_topologies_are_read() -> None:
    """The package `shop.accounts` that it imports is the reader's."""
    for text in blocks("python"):
        compile(text, "README.md", "exec")
    for text in blocks("toml"):
        tomllib.loads(text)
        app = '[app]\nname = "shop"\nmodules = ["shop.accounts", "shop.orders"]\n'
        assert set(parse(app + text).topologies) == {"seed", "grown"}


def test_the_first_error_is_what_is_raised() -> None:
    """Word for word, with its code and its hint."""
    orders, front = Module("orders"), Module("front")

    @orders.expose
    async def get() -> int:
        return 1

    @front.expose
    async def shout() -> int:
        return await get()

    with pytest.raises(RemoteError) as raised:
        asyncio.run(shout())
    cause = raised.value.__cause__
    assert isinstance(cause, UndeclaredUse)
    told = f"ramet.errors.UndeclaredUse: {cause}\n" + "\n".join(cause.__notes__)
    assert told in "\n".join(blocks("text"))


def test_its_links_lead_somewhere() -> None:
    """To files of this repository."""
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert "://" in target or (ROOT / target).exists(), target
