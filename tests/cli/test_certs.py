"""`ramet certs`: init, issue, show, and what they refuse."""

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ramet.cli.main import run
from tests.operate.app import TOML


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / ".ramet" / "certificates"


def test_init_issue_and_show_go_together(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Paths on stdout, for a script; the warning about the key on stderr."""
    assert run(["certs", "init", "--app", "shop"]) == 0
    said = capsys.readouterr()
    assert "authority of shop in .ramet/certificates" in said.out
    assert "keep authority.key secret" in said.err
    assert run(["certs", "issue", "web", "feed", "--app", "shop"]) == 0
    assert capsys.readouterr().out.split() == [".ramet/certificates/web.pem", ".ramet/certificates/feed.pem"]
    assert run(["certs", "show", "--app", "shop", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [each["service"] for each in shown] == ["feed", "web"]
    assert all(not each["renewable"] for each in shown)
    for each in shown:
        left = datetime.fromisoformat(each["not_after"]) - datetime.now(UTC)
        assert timedelta(days=89) < left <= timedelta(days=90)
    assert run(["certs", "show", "--app", "shop"]) == 0
    assert [row.split()[:2] for row in capsys.readouterr().out.splitlines()] == [["feed", "until"], ["web", "until"]]
    keys = [folder / f"{name}.key" for name in ("authority", "web", "feed")]
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}


def test_doing_it_again_changes_nothing(folder: Path) -> None:
    """A deployment may run it each time."""
    assert run(["certs", "issue", "web", "--app", "shop"]) == 0
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert run(["certs", "init", "--app", "shop"]) == 0
    assert run(["certs", "issue", "web", "--app", "shop"]) == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_application_of_the_folder_needs_no_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is in ramet.toml."""
    Path("ramet.toml").write_text(TOML)
    assert run(["certs", "init"]) == 0
    assert "authority of shop" in capsys.readouterr().out


def test_a_mistake_in_the_file_is_told_and_not_taken_for_no_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Else people would look for a file that is there."""
    Path("ramet.toml").write_text(TOML.replace('name = "shop"', 'name = "Shop"'))
    assert run(["certs", "init"]) == 2
    assert "'Shop' cannot be a name" in capsys.readouterr().err


REFUSED = [
    pytest.param(["init"], "which application?", "--app NAME", id="no application"),
    pytest.param(["init", "--app", ""], "'' cannot be the name of an application", "lower-case", id="empty name"),
    pytest.param(["init", "--app", "a,b"], "'a,b' cannot be the name", "lower-case", id="a comma, which X.509 names escape"),
    pytest.param(["show", "--app", "shop"], "there is no authority", "ramet certs init --app shop", id="show without init"),
    pytest.param(["issue", "../web", "--app", "shop"], "'../web' cannot name a service", "lower-case", id="a path"),
    pytest.param(
        ["issue", "authority", "--app", "shop"], "'authority' cannot name a service", "", id="the authority's own files"
    ),
    pytest.param(["issue", "Web", "--app", "shop"], "'Web' cannot name a service", "lower-case", id="capitals"),
]


@pytest.mark.parametrize(("arguments", "message", "hint"), REFUSED)
def test_what_cannot_be_done_is_refused(
    arguments: list[str], message: str, hint: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And no file appears outside of the folder."""
    assert run(["certs", *arguments]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert hint in said.err
    assert not said.out
    assert {path.name for path in Path.cwd().iterdir()} <= {".ramet"}


@pytest.mark.parametrize("verb", [["init"], ["issue", "web"], ["show"]], ids=" ".join)
def test_another_application_s_authority_is_not_used(verb: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its services would be trusted as ours."""
    assert run(["certs", "init", "--app", "other"]) == 0
    assert run(["certs", *verb, "--app", "shop"]) == 2
    assert "the authority is that of 'other', not of 'shop' [RM331]" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["authority.pem", "authority.key", "web.pem"])
def test_a_damaged_file_is_named(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With what to do about it."""
    assert run(["certs", "issue", "web", "--app", "shop"]) == 0
    (folder / name).write_text("-----BEGIN NONSENSE-----")
    assert run(["certs", "issue", "web", "--app", "shop"]) == 2
    said = capsys.readouterr().err
    assert "[RM331]" in said
    assert f".ramet/certificates/{name}" in said
    assert "hint: " in said
