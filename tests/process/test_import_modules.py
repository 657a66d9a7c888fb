"""From import paths to modules: what keeps them from it is said with the place in the user's code."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ramet.errors import ConfigError, DeclarationError
from ramet.model.topology import Application, parse
from ramet.process.modules import import_function, import_modules

API = 'from ramet import Module\nmodule = Module("{name}"{more})\n'


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path, whose packages are forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "shopcode"]:
        del sys.modules[name]


def write(folder: Path, files: dict[str, str]) -> None:
    for path, text in {"shopcode/__init__.py": "", **files}.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def application(*names: str) -> Application:
    return parse(f'[app]\nname = "shop"\nmodules = {[f"shopcode.{name}" for name in names]}\n')


def refusal(*names: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        import_modules(application(*names))
    return caught.value


def package(name: str, more: str = "") -> dict[str, str]:
    return {f"shopcode/{name}/__init__.py": "", f"shopcode/{name}/api.py": API.format(name=name, more=more)}


def test_modules_come_in_the_order_of_the_file(code: Path) -> None:
    """With what their `handlers` and `schedules` declare: files that are imported for that alone."""
    handlers = "from shopcode.web.api import module\n\n\n@module.expose\nasync def hello() -> int:\n    return 1\n"
    schedules = "from shopcode.web.api import module\n\n\n@module.every('1m')\nasync def sweep() -> None: ...\n"
    files = {"shopcode/web/handlers.py": handlers, "shopcode/web/schedules.py": schedules}
    write(code, {**package("orders"), **package("web"), **files})
    modules = import_modules(application("web", "orders"))
    assert list(modules) == ["web", "orders"]
    assert list(modules["web"].calls) == ["hello"]
    assert list(modules["web"].schedules) == ["sweep"]


@pytest.mark.parametrize("path", ["shopcode/orders.py", "shopcode/orders/__init__.py"])
def test_a_module_may_be_declared_in_one_file(code: Path, path: str) -> None:
    """A small module needs no folder."""
    write(code, {path: API.format(name="orders", more="")})
    assert list(import_modules(application("orders"))) == ["orders"]


@pytest.mark.parametrize("names", [{}, {"shopcode/x.py": ""}], ids=["no folder", "no such package in it"])
def test_a_package_that_is_not_there_is_named_with_the_line_that_wants_it(code: Path, names: dict[str, str]) -> None:
    """The usual cause is another current folder."""
    if names:
        write(code, names)
    error = refusal("orders")
    assert error.message == "there is no package shopcode.orders"
    assert error.where == "ramet.toml:3"
    assert "PYTHONPATH" in (error.hint or "")


def test_a_package_with_a_name_like_it_is_named(code: Path) -> None:
    """Another usual cause is a slip of the hand in ramet.toml."""
    write(code, package("orders"))
    error = refusal("ordres")
    assert error.message == "there is no package shopcode.ordres"
    assert error.hint == "did you mean `orders`?"


def test_a_package_without_a_module_is_told_what_to_write(code: Path) -> None:
    """The hint is the line to paste."""
    write(code, {"shopcode/orders/__init__.py": ""})
    error = refusal("orders")
    assert error.message == "the package shopcode.orders has no Module named 'orders'; it declares none"
    assert error.where == str(code / "shopcode/orders/__init__.py")
    assert error.hint == 'module = Module("orders") in shopcode.orders.api'


def test_a_module_of_another_name_is_told_apart(code: Path) -> None:
    """Its schema, its role and its calls would have a name that the file does not know."""
    write(code, {"shopcode/orders/__init__.py": "", "shopcode/orders/api.py": API.format(name="order", more="")})
    assert refusal("orders").message.endswith("no Module named 'orders'; it declares 'order'")


BROKEN = [
    pytest.param("x = 1\ndef broken(:\n", "SyntaxError", "shopcode/orders/api.py", 2, id="syntax"),
    pytest.param("x = 1\n\nx / 0\n", "ZeroDivisionError", "shopcode/orders/api.py", 3, id="an exception"),
    pytest.param(
        "import nothing_like_it\n", "ModuleNotFoundError", "shopcode/orders/api.py", 1, id="a package that is not installed"
    ),
    pytest.param("import shopcode.orders.nope\n", "ModuleNotFoundError", "shopcode/orders/api.py", 1, id="a file of its own"),
    pytest.param("from shopcode import helper\n", "NameError", "shopcode/helper.py", 2, id="in a file that it imports"),
    pytest.param("from shopcode import helpful\n", "ImportError", "shopcode/orders/api.py", 1, id="a name that is not there"),
    pytest.param("from shopcode import bad\n", "SyntaxError", "shopcode/bad.py", 3, id="syntax of a file that it imports"),
    pytest.param("import asyncio\nasyncio.run(1)\n", "ValueError", "", 0, id="inside of a library"),
]


@pytest.mark.parametrize(("text", "kind", "file", "line"), BROKEN)
def test_code_that_does_not_import_is_named_with_file_and_line(code: Path, text: str, kind: str, file: str, line: int) -> None:
    """Of the user's own code, not of the import machinery."""
    files = {"shopcode/orders/api.py": text, "shopcode/helper.py": "\nundefined\n", "shopcode/bad.py": "\n\nx = = 1\n"}
    write(code, {"shopcode/orders/__init__.py": "", **files})
    error = refusal("orders")
    assert error.message.startswith(f"shopcode.orders.api does not import: {kind}: ")
    if file:
        assert error.where == f"{code / file}:{line}"
    assert type(error.__cause__).__name__ == kind


def test_what_a_declaration_refuses_is_left_as_it_is(code: Path) -> None:
    """It says more than we could."""
    more = "\n\n\n@module.expose\ndef hello(x):\n    return 1\n"
    write(code, {"shopcode/orders/__init__.py": "", "shopcode/orders/api.py": API.format(name="orders", more="") + more})
    with pytest.raises(DeclarationError):
        import_modules(application("orders"))


@pytest.mark.parametrize(
    ("used", "hint"),
    [("ordrs", "did you mean `orders`?"), ("something_else", "add its package to [app] modules in ramet.toml")],
)
def test_a_use_of_a_module_that_is_not_there_is_refused(code: Path, used: str, hint: str) -> None:
    """Found at the start, and not by the first call."""
    write(code, {**package("orders"), **package("web", f', uses=["{used}"]')})
    error = refusal("orders", "web")
    assert error.message == f"module `web` uses `{used}`, which is no module of the application"
    assert error.hint == hint


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("shopcode.http:render", "cannot be imported: No module named 'shopcode.http'"),
        ("shopcode:render", "cannot be imported: module 'shopcode' has no attribute 'render'"),
        ("shopcode:VALUE", "is not a function"),
    ],
)
def test_a_function_that_ramet_toml_names_must_be_there(code: Path, path: str, message: str) -> None:
    """`http.problems`."""
    write(code, {"shopcode/__init__.py": "VALUE = 1\n\n\ndef real() -> None: ...\n"})
    assert callable(import_function("shopcode:real"))
    with pytest.raises(ConfigError, match=message) as caught:
        import_function(path)
    assert caught.value.where == "ramet.toml"
