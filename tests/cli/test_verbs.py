"""What holds for every verb: its help, its exit code, its errors."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from ramet.cli.groups import Group
from ramet.cli.main import run, verbs
from tests.cli import helpdesk
from tests.operate.app import Command


def all_verbs(group: click.Group = verbs, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """The words of each with what it is, also of those within a group."""
    context = click.Context(group)
    for name in group.list_commands(context):
        verb = group.get_command(context, name)
        assert verb is not None
        yield (*above, name), verb
        if isinstance(verb, click.Group):
            yield from all_verbs(verb, (*above, name))


VERBS = dict(all_verbs())


def examples(verb: click.Command) -> list[str]:
    """Lines of the help with the command in them, as they would be typed: without the remark behind."""
    lines = [line.strip() for line in (verb.help or "").splitlines()]
    return [re.split(r"\s{2,}", line)[0] for line in lines if re.match(r"(\w+=\S+ |[^|`]* \| )?ramet ", line)]


def commands(example: str) -> Iterator[list[str]]:
    """The words behind each `ramet` of a line of shell."""
    for part in re.split(r" (?:\||&&|>>?) ", example):
        words = shlex.split(part)
        while words and re.match(r"\w+=", words[0]):
            del words[0]
        if words[0] == "ramet":
            yield words[1:]


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_the_help_of_every_verb_shows_two_examples(words: tuple[str, ...]) -> None:
    """The first is what most people want; the second shows what else it can do. Both are of that verb, and are shown."""
    shown = CliRunner().invoke(verbs, [*words, "--help"], prog_name="ramet")
    assert shown.exit_code == 0
    found = examples(VERBS[words])
    assert len(found) >= 2, shown.stdout
    for example in found:
        assert example in shown.stdout
        assert f"ramet {' '.join(words)}" in example


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_every_example_is_understood(words: tuple[str, ...], empty: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """An option that was renamed, or an argument that is asked for now, would else rot in the help. Nothing is run."""
    monkeypatch.chdir(empty.folder)
    Path("ramet.toml").write_text(helpdesk.TOML)
    for example in examples(VERBS[words]):
        for typed in commands(example):
            for word in typed:
                if re.fullmatch(r"[\w-]+\.jsonl?", word):
                    Path(word).touch()  # a file that a verb reads is there
            parse(typed)


def parse(words: list[str]) -> None:
    """As the command does, without what comes then. Raises click.UsageError."""
    context = click.Context(verbs, info_name="ramet")
    command: click.Command | None = verbs
    while isinstance(command, click.Group) and words:
        name, command, words = command.resolve_command(context, words)
        assert command is not None
        context = click.Context(command, info_name=name, parent=context)
    if command is not None and not isinstance(command, click.Group):
        command.make_context(context.info_name, list(words), parent=context.parent)


def test_an_example_that_rots_is_found() -> None:
    """The test of the test: what it reads in a line, and what it makes of it."""
    assert list(commands("RAMET_LOG_LEVEL=DEBUG ramet config --json | jq .")) == [["config", "--json"]]
    assert list(commands("ramet down && ramet up grown")) == [["down"], ["up", "grown"]]
    with pytest.raises(click.NoSuchOption):
        parse(["config", "--jsno"])
    with pytest.raises(click.MissingParameter):
        parse(["replicate", "orders"])
    with pytest.raises(click.UsageError):
        parse(["configure"])


def test_verbs_stand_by_the_alphabet_and_under_a_heading() -> None:
    """So that two people who add one each do not meet on one line."""
    assert list(verbs.table) == sorted(verbs.table)
    assert {verb.purpose for verb in verbs.table.values()} <= set(verbs.purposes)
    assert all(isinstance(verb, Group) for verb in VERBS.values() if isinstance(verb, click.Group))


def test_the_help_of_all_lists_every_verb(empty: Command) -> None:
    """It needs no application; neither does the version."""
    text = empty.ok("--help")
    assert all(f"  {words[0]} " in text for words in VERBS)
    headings = [line.removesuffix(":") for line in text.splitlines() if line.endswith(":") and line[0] != " "]
    assert headings == ["Options", *(purpose for purpose in verbs.purposes if purpose in headings)]
    assert empty.ok("-h") == text
    assert empty.ok("--version").startswith("ramet, version ")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["xyzzy"], "there is no verb `xyzzy`\n"),
        (["up", "--port", "70000"], "70000 is not in the range"),
        (["logs", "-n", "-1"], "-1 is not in the range"),
        (["migrate", "new", "orders"], "MESSAGE"),
        (["certs", "issue", "--app", "x"], "SERVICES"),
        (["call"], "MODULE.CALL"),
        (["call", "a.b", "--deadline", "soon"], "'soon' is not a duration"),
    ],
    ids=" ".join,
)
def test_what_is_not_understood_ends_with_2(arguments: list[str], hint: str, capsys: pytest.CaptureFixture[str]) -> None:
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
        ["call", "a.b"],
        ["shell"],
        ["routes"],
        ["openapi"],
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
