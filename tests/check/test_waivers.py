"""`# ramet: allow CODE because REASON`: one finding, on one line, with a reason."""

from pathlib import Path

import pytest

from ramet.check.facts import Waiver
from ramet.check.waivers import waivers
from tests.check.support import check_package, codes, write

READ: dict[str, tuple[str, list[Waiver]]] = {
    "behind the code": ("x = {}  # ramet: allow RM705 because it is small\n", [Waiver(1, ("RM705",), "it is small")]),
    "above the code": ("# ramet: allow RM705 because it is small\n\n# more\nx = {}\n", [Waiver(4, ("RM705",), "it is small")]),
    "within a block": ("def f():\n    # ramet: allow RM105 because a\n    g()\n", [Waiver(3, ("RM105",), "a")]),
    "two codes": ("x = {}  # ramet: allow RM705, RM701 because both\n", [Waiver(1, ("RM705", "RM701"), "both")]),
    "no reason": ("x = {}  # ramet: allow RM705\n", [Waiver(1, ("RM705",), "")]),
    "no code": ("x = {}  # ramet: allow because of me\n", [Waiver(1, (), "of me")]),
    "in a text": ("x = '# ramet: allow RM705 because no'\n", []),
    "another tool's": ("x = 1  # noqa: RM705\n", []),
}


@pytest.mark.parametrize("name", READ)
def test_a_waiver_is_read_with_the_line_that_it_speaks_of(name: str) -> None:
    """Comments alone: a text that looks like one is none."""
    text, expected = READ[name]
    assert list(waivers(text.encode())) == expected


STATE = "def f():\n    x[1] = 1\n"


@pytest.mark.parametrize(
    ("waiver", "expected"),
    [
        ("# ramet: allow RM705 because it is small", []),
        ("# ramet: allow RM705", ["RM705", "RM712"]),
        ("# ramet: allow RM701 because it is small", ["RM705", "RM712"]),
        ("# ramet: allow RM705, RM701 because it is small", ["RM712"]),
        ("# ramet: allow because of me", ["RM705", "RM712"]),
    ],
)
def test_a_finding_is_waived_by_its_code_and_with_a_reason(waiver: str, expected: list[str], tmp_path: Path) -> None:
    """A waiver that waives nothing is a finding itself, also in part."""
    write(tmp_path, {"shop/__init__.py": f"x = {{}}  {waiver}\n{STATE}"})
    report = check_package("shop", tmp_path)
    assert codes(report) == expected
    assert len(report.waived) == (0 if "RM705" in expected else 1)


def test_a_line_can_have_several_waivers(tmp_path: Path) -> None:
    """Each is for its own finding, and each has to waive one."""
    above = "# ramet: allow RM701 because b is next\n# ramet: allow RM705 because it is small\n"
    text = f"{above}x = {{}}  # ramet: allow RM704\n{STATE}"
    write(tmp_path, {"shop/__init__.py": text})
    report = check_package("shop", tmp_path)
    assert len(report.waived) == 1
    assert [(each.code, each.message) for each in report.new] == [
        ("RM712", "there is no finding RM701 on this line"),
        ("RM712", "this waiver of RM704 gives no reason"),
    ]
