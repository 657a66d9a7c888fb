"""What holds for every verb: its help, its exit code, its errors."""

import json
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from ramet.cli.main import run, verbs
from tests.operate.app import Command


def all_verbs(group: click.Group = verbs, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of each, also of those within a group."""
    for name, verb in group.commands.items():
        yield (*above, name)
        if isinstance(verb, click.Group):
            yield from all_verbs(verb, (*above, name))


VERBS = list(all_verbs())


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_the_help_of_every_verb_shows_two_examples(words: tuple[str, ...]) -> None:
    """The first is what most people want; the second shows what else it can do."""
    shown = CliRunner().invoke(verbs, [*words, "--help"], prog_name="ramet")
    assert shown.exit_code == 0
    examples = [line.strip() for line in shown.stdout.splitlines() if f"ramet {words[0]}" in line and "Usage:" not in line]
    assert len(examples) >= 2, shown.stdout
    assert all(line.count("ramet " + words[0]) for line in examples)


def test_the_help_of_all_lists_every_verb(empty: Command) -> None:
    """It needs no application; neither does the version."""
    text = empty.ok("--help")
    assert all(f"  {words[0]} " in text for words in VERBS)
    assert empty.ok("-h") == text
    assert empty.ok("--version").startswith("ramet, version ")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["stauts"], "there is no verb `stauts`; did you mean `status`?"),
        (["migrat", "up"], "there is no verb `migrat`; did you mean `migrate`?"),
        (["certs", "isue"], "No such command 'isue'"),
        (["frobnicate"], "there is no verb `frobnicate`\n"),
        (["up", "--detatch"], "--detach"),
        (["up", "--port", "70000"], "70000 is not in the range"),
        (["logs", "-n", "-1"], "-1 is not in the range"),
        (["migrate", "new", "orders"], "MESSAGE"),
        (["certs", "issue", "--app", "x"], "SERVICES"),
    ],
    ids=" ".join,
)
def test_what_is_not_understood_ends_with_2_and_what_was_meant(
    arguments: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """On stderr, so that a pipe gets nothing."""
    assert run(arguments) == 2
    said = capsys.readouterr()
    assert hint in said.err
    assert not said.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["dev"],
        ["up"],
        ["down"],
        ["status"],
        ["logs"],
        ["config"],
        ["docs"],
        ["migrate", "status"],
        ["migrate", "up"],
        ["migrate", "new", "a", "b"],
    ],
    ids=" ".join,
)
def test_outside_of_an_application_each_verb_says_so(
    arguments: list[str], empty: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2: it could not do it."""
    monkeypatch.chdir(empty.folder)
    assert run(arguments) == 2
    said = capsys.readouterr()
    assert "there is no ramet.toml here or above [RM201]" in said.err
    assert f"at: {empty.folder}" in said.err


def test_what_the_system_refuses_is_an_error_and_not_a_traceback(empty: Command) -> None:
    """A file where a folder is needed; a full disk looks the same."""
    (empty.folder / "file").write_text("")
    done = empty.run("certs", "init", "--app", "shop", "--folder", "file")
    assert done.returncode == 2
    assert "error: File exists" in done.stderr
    assert "at: file" in done.stderr
    assert "Traceback" not in done.stderr


# Nothing runs


def test_status_ends_with_1_where_nothing_runs(shop: Command) -> None:
    """A script asks by the exit code; `--json` is JSON also then."""
    done = shop.run("status")
    assert (done.returncode, done.stdout) == (1, "nothing runs here; ramet up\n")
    done = shop.run("status", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (1, {"running": False})


def test_down_is_content_where_nothing_runs(shop: Command) -> None:
    """What was asked for is so. Said on stderr."""
    done = shop.run("down")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "nothing runs here\n")


def test_logs_have_nothing_to_show_where_nothing_runs(shop: Command) -> None:
    """With the command that begins it."""
    done = shop.run("logs")
    assert done.returncode == 2
    assert "nothing runs here" in done.stderr
    assert "hint: ramet up" in done.stderr


def test_a_topology_that_is_not_there_is_refused_before_anything_starts(shop: Command) -> None:
    """With the one that was meant."""
    done = shop.run("up", "grwn", "--detach")
    assert done.returncode == 2
    assert "there is no topology `grwn`" in done.stderr
    assert "did you mean `grown`?" in done.stderr
    assert not (shop.folder / ".ramet").exists()
