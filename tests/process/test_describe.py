"""The release that a folder holds, looked at by a process of its own; or why it cannot run."""

import asyncio
import sys
from pathlib import Path

import pytest

from ramet.errors import PlanImpossible
from ramet.model.release import HttpEndpoint, Release
from ramet.operate import releases
from tests.operate import app


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return app.write(tmp_path)


def look(folder: Path, taken: tuple[str, ...] = ()) -> Release:
    return asyncio.run(releases.look(folder, taken))


def refused(folder: Path) -> PlanImpossible:
    with pytest.raises(PlanImpossible) as error:
        look(folder)
    return error.value


def test_a_release_has_what_its_modules_call_serve_and_own(folder: Path) -> None:
    """From the declarations; what the code prints is not in the way."""
    face = folder / "shop/front/api.py"
    face.write_text(f"print('hello')\n{face.read_text()}")
    found = look(folder)
    assert (found.app, found.version, found.python) == ("shop", "0", sys.executable)
    orders, front = found.modules["orders"], found.modules["front"]
    assert front.uses == ("orders",)
    assert {"create", "get", "pay", "count"} <= set(orders.calls)
    assert HttpEndpoint("POST", "/orders", "create", is_repeatable=False) in orders.endpoints
    assert orders.has_database
    assert orders.migrations == str(folder / "shop/orders/migrations")
    assert not list(folder.rglob("__pycache__")), "it leaves nothing in the folder"


def test_a_version_that_is_known_already_gets_a_number(folder: Path) -> None:
    """Old and new stand side by side under different names."""
    assert look(folder, ("0", "0-2")).version == "0-3"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("x = = 1", "SyntaxError: invalid syntax", id="syntax"),
        pytest.param("import nothing_of_this_name", "No module named 'nothing_of_this_name'", id="import"),
        pytest.param("raise LookupError('no licence')", "LookupError: no licence", id="raises"),
    ],
)
def test_code_that_does_not_import_is_refused_with_the_line(folder: Path, text: str, said: str) -> None:
    """Before anything moves."""
    face = folder / "shop/front/api.py"
    face.write_text(f"\n{text}\n")
    error = refused(folder)
    assert error.message.startswith("this version cannot run: shop.front.api does not import: ")
    assert said in error.message
    assert error.where == f"{face}:2"


@pytest.mark.parametrize("ending", ["import os; os._exit(1)", "raise SystemExit(7)"])
def test_what_it_printed_is_the_reason_where_it_gives_no_other(folder: Path, ending: str) -> None:
    """Its process ended in the middle of the import."""
    (folder / "shop/front/api.py").write_text(f"print('the licence has expired', flush=True)\n{ending}\n")
    assert "the licence has expired" in refused(folder).message


def test_a_folder_without_an_application_is_refused(tmp_path: Path) -> None:
    """With the option that names another one."""
    error = refused(tmp_path)
    assert (error.message, error.where) == ("there is no ramet.toml", str(tmp_path))
    assert "ramet roll --path" in (error.hint or "")
