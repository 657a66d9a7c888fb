"""docs/comparison.md has no figure of ours that nobody measured."""

import json
import re

import pytest

from tests.docs.example import DOCS

PAGE = (DOCS / "comparison.md").read_text()
FIGURES = re.findall(r"^\| `([\w.]+)` \| ([\d.]+) \|", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("key", "shown"), FIGURES)
def test_a_figure_is_that_of_the_results(key: str, shown: str) -> None:
    """bench/results.json is written by `make bench` and by nobody else."""
    figures = json.loads((DOCS.parent / "bench/results.json").read_text())["figures"]
    assert float(shown) == figures[key]["value"]


def test_every_system_in_the_table_has_a_section_that_says_when_to_take_it() -> None:
    """All that the first row names but ourselves."""
    header = PAGE.split("\n| | ", 1)[1].split("\n", 1)[0]
    systems = [re.sub(r" [\d.]+$", "", name.strip()) for name in header.split("|") if name.strip()][1:]
    assert len(systems) == 6
    sections = dict(re.findall(r"^## (.+)\n((?:(?!## ).*\n)*)", PAGE, re.MULTILINE))
    assert [name for name in systems if "**Take it**" not in sections[name]] == []
