"""docs/testing.md as a reader would follow it: its files written, its commands run, what they print compared."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.example import blocks
from tests.testing.app import OTHERS

PAGE = "testing.md"
_STEP = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


def comparable(text: str) -> list[str]:
    """Without times, and without the rulers' length."""
    text = re.sub(r"in \d+\.\d+s(?: \(.*\))?", "in ...", text)
    return [re.sub(r"([-_=])\1{3,}", r"\1", line).rstrip() for line in text.splitlines()]


@pytest.mark.timeout(120)
def test_its_examples_do_what_the_page_says(tmp_path: Path) -> None:
    """All but the installation."""
    tmp_path.chmod(0o755)
    for kind in ("toml", "python"):
        for mark, text, _ in blocks(PAGE, kind):
            if mark.startswith("file "):
                file = tmp_path / mark.removeprefix("file ")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST")},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTEST_ADDOPTS": " ".join(f"-pno:{name}" for name in OTHERS),
    }
    steps = [step for _, text, _ in blocks(PAGE, "console") for step in _STEP.findall(text) if not step[0].startswith("pip")]
    assert len(steps) == 8
    for command, printed in steps:
        done = subprocess.run(
            command,
            shell=True,
            cwd=tmp_path,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
        )
        assert comparable(done.stdout) == comparable(printed), command
