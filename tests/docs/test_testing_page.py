"""docs/testing.md as a reader would follow it: its files written, its commands run, what they print compared."""

import re
from pathlib import Path

import pytest

from tests.docs.example import follow, steps, write_files
from tests.testing.app import OTHERS

PAGE = "testing.md"


def comparable(text: str) -> list[str]:
    """Without times, and without the rulers' length."""
    text = re.sub(r"in \d+\.\d+s(?: \(.*\))?", "in ...", text)
    return [re.sub(r"([-_=])\1{3,}", r"\1", line).rstrip() for line in text.splitlines()]


@pytest.mark.timeout(120)
def test_its_examples_do_what_the_page_says(tmp_path: Path) -> None:
    """All but the installation."""
    tmp_path.chmod(0o755)
    write_files(PAGE, tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    found = [step for step in steps(PAGE) if not step[0].startswith("pip")]
    assert len(found) == 8
    for command, printed in found:
        told = follow(command, tmp_path, {"PYTEST_ADDOPTS": " ".join(f"-pno:{name}" for name in OTHERS)})
        assert comparable(told) == comparable(printed), command
