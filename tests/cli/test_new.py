"""`ramet new`: what is written where, what is never overwritten, and that its tests pass."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ramet.cli.main import run
from ramet.deliver import starter
from tests.operate.app import Command


def test_its_files_are_written_and_named(empty: Command) -> None:
    """On stdout, one a line; what to do next is talk."""
    done = empty.run("new", "my-shop")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [f"my-shop/{path}" for path in starter.files("my-shop")]
    assert "next: cd my-shop && pytest" in done.stderr
    assert {path: (empty.folder / "my-shop" / path).read_text() for path in starter.files("my-shop")} == starter.files("my-shop")


@pytest.mark.parametrize("topology", ["seed", "grown"])
def test_its_module_map_can_be_made_at_once(topology: str, empty: Command) -> None:
    """All of it imports; every module says what it is for."""
    empty.ok("new", "shop")
    shop = Command(empty.folder / "shop")
    shop.ok("docs", "--topology", topology, "--write", "docs")
    text = (shop.folder / "docs" / "modules.md").read_text()
    assert "What is sold, and at what price." in text
    assert "Who bought what, at the price of that day." in text


@pytest.mark.timeout(120)
def test_its_tests_pass_as_they_are(empty: Command) -> None:
    """The first thing that anybody does with it. In a process of its own, with its own configuration, and nothing runs afterwards."""
    empty.ok("new", "shop")
    folder = empty.folder / "shop"
    done = subprocess.run(
        [sys.executable, "-m", "pytest"],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert "failed" not in done.stdout


def test_into_an_empty_folder_it_writes(empty: Command) -> None:
    """Such as the one of a repository that was just made elsewhere."""
    (empty.folder / "shop").mkdir()
    empty.ok("new", "shop")
    assert (empty.folder / "shop" / "ramet.toml").is_file()


@pytest.mark.parametrize(
    ("there", "message", "names"),
    [
        (["README.md"], "the folder shop is not empty: README.md", 1),
        ([".git", "a", "b"], "the folder shop is not empty: .git, a, b", 3),
        ([f"f{number}" for number in range(8)], "the folder shop is not empty: f0, f1, f2, f3, f4 and 3 more", 8),
    ],
)
def test_a_folder_with_something_in_it_is_left_as_it_is(
    there: list[str],
    message: str,
    names: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It names what is there, and writes nothing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop").mkdir()
    for name in there:
        (tmp_path / "shop" / name).write_text("mine")
    assert run(["new", "shop"]) == 2
    said = capsys.readouterr()
    assert f"{message} [RM201]" in said.err
    assert "hint: another name, or move that folder: mv shop shop.old" in said.err
    assert not said.out
    assert sorted(each.name for each in (tmp_path / "shop").iterdir()) == sorted(there)
    assert len(there) == names


@pytest.mark.parametrize("kind", ["file", "link to a folder", "link to nothing"])
def test_what_is_no_folder_of_its_own_is_left_as_it_is(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A link would have it written somewhere else."""
    monkeypatch.chdir(tmp_path)
    if kind == "file":
        (tmp_path / "shop").write_text("mine")
    else:
        (tmp_path / "elsewhere").mkdir() if kind == "link to a folder" else None
        (tmp_path / "shop").symlink_to("elsewhere")
    assert run(["new", "shop"]) == 2
    assert "shop is there already, and is no folder [RM201]" in capsys.readouterr().err
    assert not list((tmp_path).glob("elsewhere/*"))


@pytest.mark.parametrize(
    ("name", "hint"),
    [("My Shop", "ramet new my_shop"), ("json", "ramet new json_app"), ("pytest", "ramet new pytest_app")],
)
def test_a_name_that_would_not_work_is_refused_before_anything_is_written(
    name: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Packages that are installed here among them: pytest would import the application in its place."""
    monkeypatch.chdir(tmp_path)
    assert run(["new", name]) == 2
    assert f"hint: {hint}" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
