"""Did you mean: wherever a person writes a name, a slip of the hand is answered with the name that was meant."""

from pathlib import Path

import pytest

from ramet.cli.main import run
from tests.cli import helpdesk
from tests.operate.app import Command

TYPED = [
    pytest.param(["stauts"], "`status`", id="a verb"),
    pytest.param(["migrat", "up"], "`migrate`", id="a verb of several"),
    pytest.param(["certs", "isue"], "`issue`", id="a verb within a verb"),
    pytest.param(["migrate", "staus"], "`status`", id="another verb within a verb"),
    pytest.param(["up", "--detatch"], "'--detach'", id="an option"),
    pytest.param(["call", "tickets.close", "--deadlin", "1s"], "'--deadline'", id="an option behind arguments"),
    pytest.param(["completion", "bsh"], "`bash`", id="a choice"),
    pytest.param(["up", "grwn"], "`grown`", id="a topology"),
    pytest.param(["migrate", "up", "ticket"], "`tickets`", id="a module"),
    pytest.param(["routes", "peopel"], "`people`", id="a module to be listed"),
    pytest.param(["call", "ticket.close"], "`tickets`", id="a module of a call"),
    pytest.param(["call", "tickets.clsoe"], "`close`", id="a call"),
    pytest.param(["call", "people.shout", "titel=x"], "`title`", id="a parameter"),
    pytest.param(["call", "tickets.submit", "title=x", "priority=hihg"], "`high`", id="a value of an enum"),
    pytest.param(["call", "tickets.submit", "title=x", 'priority:="lwo"'], "`low`", id="the same as JSON"),
    pytest.param(["logs", "web-l"], "`web-1`", id="an instance"),
]


@pytest.mark.parametrize(("arguments", "meant"), TYPED)
def test_on_the_command_line(arguments: list[str], meant: str, desk: Command, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and nothing was begun."""
    record = desk.folder / ".ramet/fleet.json"
    record.parent.mkdir(exist_ok=True)
    record.write_text(
        '{"pid": 1, "process_started": "never", "app": "helpdesk", "topology": "grown", "url": "http://127.0.0.1:1", "log": "",'
        ' "instances": [{"name": "web-1", "service": "web", "socket": "", "http": "", "log": ""}]}'
    )
    try:
        assert run(arguments) == 2
    finally:
        record.unlink()
    said = capsys.readouterr()
    assert f"did you mean {meant}?" in said.err.lower()
    assert not said.out


WRITTEN = [
    pytest.param("[app]", "[ap]", "`app`", id="a table"),
    pytest.param("prefix =", "prefx =", "`prefix`", id="a key"),
    pytest.param('["people"]', '["peopel"]', "`people`", id="a module of a service"),
    pytest.param("instances = 2", "instnces = 2", "`instances`", id="a key of a service"),
    pytest.param("[http]", "[settings]\nmax_cals = 7\n[http]", "`max_calls`", id="a setting"),
    pytest.param("[http]", '[settings]\nlog_level = "DEBUGG"\n[http]', "`DEBUG`", id="a value of a setting"),
]


@pytest.mark.parametrize(("old", "new", "meant"), WRITTEN)
def test_in_ramet_toml(
    old: str, new: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the line."""
    assert old in helpdesk.TOML
    (tmp_path / "ramet.toml").write_text(helpdesk.TOML.replace(old, new, 1))
    monkeypatch.chdir(tmp_path)
    assert run(["config"]) == 2
    said = capsys.readouterr().err
    assert f"did you mean {meant}?" in said
    assert "ramet.toml:" in said


def test_in_the_environment(desk: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A variable that is close to one of ours."""
    monkeypatch.setenv("RAMET_MAX_CALS", "7")
    assert run(["config"]) == 2
    assert "did you mean `RAMET_MAX_CALLS`?" in capsys.readouterr().err


def test_in_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A module that another one says it uses."""
    (tmp_path / "ramet.toml").write_text('[app]\nname = "misspelt"\nmodules = ["misspelt_tickets", "misspelt_people"]\n')
    (tmp_path / "misspelt_tickets.py").write_text('from ramet import Module\nmodule = Module("misspelt_tickets")\n')
    people = 'from ramet import Module\nmodule = Module("misspelt_people", uses=["misspelt_tickts"])\n'
    (tmp_path / "misspelt_people.py").write_text(people)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert run(["routes"]) == 2
    assert "did you mean `misspelt_tickets`?" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["up", "zzz"], ["call", "zzz.close"], ["call", "tickets.zzz"], ["routes", "zzz"]], ids=" ".join
)
def test_where_nothing_is_close_all_that_there_is_is_listed(
    arguments: list[str], desk: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    """A guess that is far off would send people the wrong way."""
    assert run(arguments) == 2
    said = capsys.readouterr().err
    assert "did you mean" not in said
    assert "hint: known: " in said
