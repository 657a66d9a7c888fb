"""What the docs show is run, what they point at exists, and what is made from the code is current."""

import ast
import asyncio
import inspect
import re
import subprocess
import sys
import types
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.docs.example import DOCS, blocks

ROOT = DOCS.parent
PAGES = sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))
WITH_CODE = [page for page in PAGES if any(blocks(page, "python"))]


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> Iterator[dict[str, object]]:
    """A module of its own for a page: types that its blocks define are looked up by their module's name."""
    name = re.sub(r"\W", "_", f"page_{request.node.name}")
    sys.modules[name] = types.ModuleType(name)
    yield vars(sys.modules[name])
    del sys.modules[name]


@pytest.mark.parametrize("page", WITH_CODE)
def test_the_python_of_a_page_runs(page: str, namespace: dict[str, object]) -> None:
    """Its blocks in order, in one namespace, in one event loop. A block marked `no-run` or `file PATH` is only compiled.

    What a page names `at_end` is closed, also where it fails half-way: it may have started a server.
    """

    async def main() -> None:
        try:
            await run()
        finally:
            if isinstance(at_end := namespace.get("at_end"), AsyncExitStack):
                await at_end.aclose()

    async def run() -> None:
        for mark, text, line in blocks(page, "python"):
            # Blank lines before it, so that a traceback has the line of the page.
            code = compile("\n" * (line - 1) + text, str(DOCS / page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            if mark.startswith(("no-run", "file ")):
                continue
            outcome = eval(code, namespace)
            if inspect.iscoroutine(outcome):
                await outcome

    asyncio.run(asyncio.wait_for(main(), 20))


def anchors(page: Path) -> set[str]:
    """Those of its headings, by GitHub's rule."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_the_links_of_a_page_lead_somewhere(page: str) -> None:
    """To a file of the repository, and to a heading in it."""
    for target in re.findall(r"\]\(([^)]+)\)", (DOCS / page).read_text()):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        other = ((DOCS / page).parent / path).resolve() if path else DOCS / page
        assert other.is_file(), target
        assert not anchor or anchor in anchors(other), target


def test_the_index_has_every_page() -> None:
    """One line each."""
    text = (DOCS / "README.md").read_text()
    assert [page for page in PAGES if f"]({page})" not in text] == ["README.md"]


def test_the_pages_made_from_the_code_are_current() -> None:
    """If not: .venv/bin/python tools/reference"""
    checked = subprocess.run(
        [sys.executable, ROOT / "tools" / "reference", "--check"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
