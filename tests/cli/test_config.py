"""`ramet config`: each value with its origin, and the order environment, file, default."""

import json
from pathlib import Path

import pytest

from ramet.cli.main import run
from tests.operate.app import TOML, Command


@pytest.fixture
def folder(empty: Command, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Current, with an application whose file sets two things."""
    (empty.folder / "ramet.toml").write_text(TOML + '\n[settings]\nmax_calls = 77\nlog_level = "WARNING"\n')
    monkeypatch.chdir(empty.folder)
    for name in ("RAMET_MAX_CALLS", "RAMET_LOG_LEVEL", "RAMET_LOG_FORMAT", "RAMET_STRICT"):
        monkeypatch.delenv(name, raising=False)
    return empty.folder


def line_of(folder: Path, text: str) -> int:
    return (folder / "ramet.toml").read_text().splitlines().index(text) + 1


def origins(capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[object, str]]:
    assert run(["config", "--json"]) == 0
    return {each["name"]: (each["value"], each["source"]) for each in json.loads(capsys.readouterr().out)}


def test_each_setting_tells_where_its_value_comes_from(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Default, file with line, environment: the question of every night at 3."""
    monkeypatch.setenv("RAMET_LOG_LEVEL", "DEBUG")
    found = origins(capsys)
    assert found["strict"] == (True, "default")
    assert found["max_calls"] == (77, f"{folder / 'ramet.toml'}:{line_of(folder, 'max_calls = 77')}")
    assert found["log_level"] == ("DEBUG", "environment variable RAMET_LOG_LEVEL")


def test_the_table_for_people_says_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the application's own values, which have lines too."""
    assert run(["config"]) == 0
    rows = {row.split()[0]: row.split()[1:] for row in capsys.readouterr().out.splitlines()}
    name_line = line_of(folder, 'name = "shop"')
    assert rows["app.name"] == ["shop", f"{folder / 'ramet.toml'}:{name_line}"]
    assert rows["engines.postgres"] == ["embedded", "default"]
    assert rows["settings.max_calls"][0] == "77"
    assert rows["settings.strict"] == ["True", "default"]


def test_it_works_from_a_folder_below(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """As every verb: people are somewhere in their code."""
    below = folder / "shop" / "orders"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert origins(capsys)["max_calls"][0] == 77


@pytest.mark.parametrize(
    ("variable", "value", "message", "hint"),
    [
        ("RAMET_MAX_CALLS", "many", "RAMET_MAX_CALLS is 'many', expected a whole number", ""),
        ("RAMET_STRICT", "perhaps", "RAMET_STRICT is 'perhaps', expected 1 or 0", ""),
        ("RAMET_LOG_LEVEL", "DEBUGG", "RAMET_LOG_LEVEL is 'DEBUGG'", "did you mean `DEBUG`?"),
        ("RAMET_MAX_CALS", "1", "there is no setting RAMET_MAX_CALS", "did you mean `RAMET_MAX_CALLS`?"),
        ("RAMET_RETRY_BUDGET", "2", "it is a share between 0 and 1", ""),
    ],
)
def test_a_value_that_does_not_fit_is_refused(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    value: str,
    message: str,
    hint: str,
) -> None:
    """Before anything is printed."""
    monkeypatch.setenv(variable, value)
    assert run(["config"]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert hint in said.err
    assert not said.out


def test_a_setting_of_the_file_that_is_none_has_a_line_and_a_hint(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`max_cals` in the file is found as a misspelled variable is."""
    file = folder / "ramet.toml"
    file.write_text(file.read_text().replace("max_calls", "max_cals"))
    assert run(["config"]) == 2
    said = capsys.readouterr().err
    assert "settings.max_cals: there is no such setting" in said
    assert f"ramet.toml:{line_of(folder, 'max_cals = 77')}" in said
    assert "did you mean `max_calls`?" in said
