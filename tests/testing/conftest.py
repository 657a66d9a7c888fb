import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testing.app import Project


@pytest.fixture(scope="session")
def project() -> Iterator[Project]:
    """One for all tests of the plugin: its PostgreSQL is made once. Tests add files to it, and change none."""
    folder = Path(tempfile.mkdtemp(prefix="ramettesting"))
    folder.chmod(0o755)
    yield Project(folder)
    shutil.rmtree(folder)
