import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testing.app import Project, Ran, write
from tests.testing.suites import FILES, SEED


@pytest.fixture(scope="session")
def project() -> Iterator[Project]:
    """One for all tests of the plugin: its PostgreSQL is made once. Tests add files to it, and change none."""
    folder = Path(tempfile.mkdtemp(prefix="ramettesting"))
    folder.chmod(0o755)
    yield Project(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def ran(project: Project) -> Ran:
    """The suites, run once: the server and the instances are what costs."""
    write(project.folder, FILES)
    return project.run(*FILES, "--ramet-seed", str(SEED))
