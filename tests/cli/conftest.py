from collections.abc import Iterator
from pathlib import Path

import pytest

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
