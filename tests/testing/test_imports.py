"""What a file imports, by its text: every form that can reach a module is seen, or is a doubt."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramet.testing.imports import read_imports

NAMES = [
    ("import shop.orders.api", {"shop.orders.api"}),
    ("from shop.orders import api", {"shop.orders", "shop.orders.api"}),
    ("def f():\n    from shop import orders", {"shop", "shop.orders"}),
    ("if TYPE_CHECKING:\n    import shop", {"shop"}),
    ("import_module('shop')", {"shop"}),
    ("import importlib.metadata, importlib.resources", {"importlib.metadata", "importlib.resources"}),
    ("pytest.importorskip('shop.orders')", {"shop.orders"}),
    ("pytest_plugins = ['shop.testing']", {"shop.testing"}),
    ("mock.patch('shop.orders.api.get')", {"shop.orders.api.get"}),
    ("HANDLER = 'shop.http:render'", {"shop.http"}),
    ("x = 'no name. At all'", set()),
]
DOUBTS = [
    ("pytest.importorskip(name)", "line 1 has importorskip"),
    ("import importlib", "line 1 has importlib"),
    ("from importlib import import_module as by_name", "line 1 has importlib"),
    ("\n__import__(name)", "line 2 has __import__"),
    ("run = exec", "line 1 has exec"),
    ("import subprocess", "line 1 has subprocess"),
    ("def f():\n    from multiprocessing import Pool", "line 2 has multiprocessing"),
    ("from os import system as shell", "line 1 has os.system"),
    ("asyncio.create_subprocess_exec('x')", "line 1 has create_subprocess_exec"),
    ("request.getfixturevalue('ramet_http')", "line 1 has getfixturevalue"),
    ("sys.modules['shop']", "line 1 has sys.modules"),
    ("monkeypatch.setattr(f'shop.{name}.api', 1)", "line 1 has setattr(...) with a name that is computed"),
    ("module = Module('a', uses=USED)", "line 1 has a Module(...) whose `uses` is more than a list of texts"),
    ("module = Module('a', **options)", "line 1 has a Module(...) whose `uses` is more than a list of texts"),
    ("def broken(", "it cannot be parsed"),
]


@pytest.mark.parametrize(("source", "names"), NAMES)
def test_a_name_is_found_wherever_it_stands(source: str, names: set[str]) -> None:
    found = read_imports(source)
    assert names <= set(found.names)
    assert found.doubt == ""


@pytest.mark.parametrize(("source", "doubt"), DOUBTS)
def test_what_cannot_be_followed_is_a_doubt(source: str, doubt: str) -> None:
    assert read_imports(source).doubt.startswith(doubt)


def test_relative_imports_keep_their_dots() -> None:
    found = read_imports("from . import api\nfrom ..orders import store as s")
    assert found.relative == ((1, ""), (1, "api"), (2, "orders"), (2, "orders.store"))


def test_uses_that_are_written_out_are_no_doubt_beside_options() -> None:
    found = read_imports("module = Module('a', **options, uses=['b'])")
    assert (found.uses, found.doubt) == (("b",), "")


def test_uses_are_those_of_all_declarations() -> None:
    assert read_imports("a = Module('a')\nb = ramet.Module('b', uses=['a', 'c'])").uses == ("a", "c")


@given(st.text() | st.from_regex(r"(from|import|class|def|\.|\s|[a-z]|[\"'\[\]():=]){0,30}", fullmatch=True))
def test_any_text_is_read(source: str) -> None:
    """What Python does not accept is a doubt, and nothing is raised."""
    found = read_imports(source)
    try:
        ast.parse(source)
    except (SyntaxError, ValueError):
        assert found.doubt
