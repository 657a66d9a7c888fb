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
