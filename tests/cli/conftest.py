import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli import helpdesk
from tests.operate import app
from tests.operate.app import Command


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Command]:
    """The application in a folder of its own; nothing of it runs afterwards."""
    command = Command(app.write(tmp_path))
    yield command
    command.clean()


@pytest.fixture
def empty(tmp_path: Path) -> Command:
    """The command in a folder without an application."""
    return Command(tmp_path)


@pytest.fixture(scope="session")
def desk_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return helpdesk.write(tmp_path_factory.mktemp("helpdesk"))


@pytest.fixture
def desk(desk_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """An application without a database, which nobody changes. Its folder is the current one, and importable."""
    monkeypatch.chdir(desk_folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return Command(desk_folder)
