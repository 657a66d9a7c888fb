"""A new application: what it is called, and what its files are worth."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramet.deliver import starter
from ramet.errors import ConfigError
from ramet.model.topology import parse


def write(folder: Path, name: str) -> Path:
    for path, text in starter.files(name).items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def tool(name: str, *arguments: str, folder: Path) -> None:
    command = [Path(sys.executable).parent / name, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=55, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# The name


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("Shop", "'Shop' cannot be the name", "ramet new shop; "),
        ("my shop!", "cannot be the name", "ramet new my_shop; "),
        ("2nd", "cannot be the name", "ramet new nd; "),
        ("../shop", "cannot be the name", "ramet new shop; "),
        ("", "cannot be the name", "ramet new my_app; "),
        ("é", "cannot be the name", "ramet new my_app; "),
        ("a" * 49, "cannot be the name", f"ramet new {'a' * 44}; "),
        ("class", "a word of Python's own", "ramet new class_app"),
        ("match", "a word of Python's own", "ramet new match_app"),
        ("json", "Python's own module json", "ramet new json_app"),
        ("tests", "the package tests is there already", "ramet new tests_app"),
        ("ramet", "the package ramet is there already", "ramet new ramet_app"),
        ("flask", "the package flask is there already", "ramet new flask_app"),
    ],
)
def test_a_name_that_cannot_be_is_refused_with_one_that_can(name: str, message: str, hint: str) -> None:
    """It becomes a folder, a Python package, and a part of certificates."""
    with pytest.raises(ConfigError) as caught:
        starter.check_name(name, installed={"flask": ["Flask"]})
    assert message in caught.value.message
    assert caught.value.hint is not None
    assert caught.value.hint.startswith(hint)


@given(st.text(max_size=60))
def test_the_name_that_is_proposed_would_be_taken(name: str) -> None:
    """Whatever was typed."""
    try:
        starter.check_name(name, installed={})
    except ConfigError as error:
        assert error.hint is not None
        starter.check_name(error.hint.removeprefix("ramet new ").partition(";")[0], installed={})


# The files


@pytest.mark.parametrize("name", ["shop", "my-shop2", "a", "zoo_of_everything_that_lives"])
def test_the_files_are_an_application_of_that_name(name: str) -> None:
    """Of two modules, in two topologies; no mark of the template is left."""
    files = starter.files(name)
    application = parse(files["ramet.toml"])
    assert application.name == name
    assert list(application.modules) == ["catalog", "orders"]
    assert list(application.topologies) == ["seed", "grown"]
    assert len(application.topologies["grown"].services) > 1
    assert "{{" not in "".join(files.values())
    for module in application.modules.values():
        assert f"{module.replace('.', '/')}/api.py" in files


def test_the_readme_is_one_page_and_says_how_to_go_on() -> None:
    """A module, a call, an endpoint, a table, and how to run it apart."""
    text = starter.files("shop")["README.md"]
    assert len(text.splitlines()) <= 100
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Add a module",
        "## Add a call",
        "## Add an endpoint",
        "## Add a table",
        "## Run it apart",
    ]


def test_every_file_of_python_begins_with_what_it_is() -> None:
    """Whoever inherits it reads that first."""
    for path, text in starter.files("shop").items():
        if path.endswith(".py"):
            assert ast.get_docstring(ast.parse(text)), path


@pytest.mark.parametrize("name", ["shop", "zebra-crossing"])
def test_the_files_pass_ruff(name: str, tmp_path: Path) -> None:
    """With the rules that come along; imports are in order whatever the name."""
    folder = write(tmp_path, name)
    tool("ruff", "check", "--no-cache", ".", folder=folder)
    tool("ruff", "format", "--no-cache", "--check", ".", folder=folder)


def test_the_files_pass_pyright_in_its_strict_mode(tmp_path: Path) -> None:
    """So that an editor shows nothing that was not there to be learnt."""
    tool("pyright", "--pythonpath", sys.executable, folder=write(tmp_path, "shop"))


def test_what_python_leaves_among_the_templates_is_no_file_of_the_application(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only templates are."""
    copy = tmp_path / "templates"
    shutil.copytree(starter._TEMPLATES, copy)
    (copy / "package" / "__pycache__").mkdir()
    (copy / "package" / "__pycache__" / "a.pyc").write_text("")
    before = starter.files("shop")
    monkeypatch.setattr(starter, "_TEMPLATES", copy)
    assert starter.files("shop") == before
