"""Well-known packages, as wheels install them: unchanged, of any style, and no crash."""

from pathlib import Path

import pytest

from ramet.check import rules
from ramet.cli.main import run
from tests.check.support import check_package


@pytest.mark.parametrize(
    ("package", "modules", "some"), [("django", 10, "RM702"), ("fastapi", 5, "RM701"), ("starlette", 1, "RM705")]
)
def test_a_package_of_others_is_checked_without_a_crash(package: str, modules: int, some: str, tmp_path: Path) -> None:
    """By name, from wherever it is installed; its subpackages are taken for modules. Each finding names a line of a file."""
    report = check_package(package, tmp_path)
    assert report.modules >= modules
    found = (*report.new, *report.notes)
    assert some in {each.code for each in found}
    assert {each.rule for each in found} <= set(rules.RULES)
    for each in found:
        file = report.folder / each.file
        assert 1 <= each.line <= max(1, len(file.read_bytes().splitlines())), each.where
        assert each.message
        assert each.change


def test_the_command_takes_a_package_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a folder that has nothing to do with it; accepted once, it is clean."""
    monkeypatch.chdir(tmp_path)
    assert run(["check", "starlette"]) == 1
    said = capsys.readouterr()
    assert "RM701 import past a face" in said.out
    assert "to mend" in said.err
    assert run(["check", "starlette", "--accept"]) == 0
    assert run(["check", "starlette"]) == 0
    assert capsys.readouterr().out == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == [".ramet", ".ramet-accepted.json"]
