"""What docs/concepts/topology.md shows is what `ramet config` prints."""

import re
from pathlib import Path

import pytest

from ramet.cli.main import run
from ramet.model import pools, service, topology
from ramet.model.topology import parse
from tests.docs.example import DOCS, blocks

PAGE = "concepts/topology.md"
_WRONG = re.compile(r"^```toml wrong\n((?:.*\n)*?)```\n\n```text\n((?:.*\n)*?)```$", re.MULTILINE)
MISTAKES = _WRONG.findall((DOCS / PAGE).read_text())


@pytest.mark.parametrize(("file", "printed"), MISTAKES)
def test_a_mistake_is_told_as_the_page_shows(
    file: str, printed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Folder apart: the page shows paths without it."""
    (tmp_path / "ramet.toml").write_text(file)
    monkeypatch.chdir(tmp_path)
    assert run(["config"]) == 2
    assert capsys.readouterr().err.replace(f"{tmp_path}/", "") == printed


def test_the_other_files_of_the_page_are_right() -> None:
    """And there are mistakes to look at."""
    assert len(MISTAKES) == 5
    for mark, text, _ in blocks(PAGE, "toml"):
        if not mark:
            assert set(parse(text).topologies) == {"seed", "grown"}


def test_the_table_has_every_key() -> None:
    """Those that the parser takes, by the file that has them all."""
    table = set(re.findall(r"^\| `([\w.]+)` \|", (DOCS / PAGE).read_text(), re.MULTILINE))
    source = "".join(Path(module.__file__ or "").read_text() for module in (topology, service, pools))
    taken = set(re.findall(r'\.(?:text|texts|lists|number|duration|count|name)\("(\w+)"', source))
    assert taken == {key.rpartition(".")[2] for key in table} - {"NAME", "MODULE"}
