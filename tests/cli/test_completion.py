"""`ramet completion`: the scripts of three shells, what they ask the command, and real shells that ask it."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.shell_completion import get_completion_class

from ramet.cli.completion import NO_SPACE
from ramet.cli.main import run, verbs
from tests.cli.terminal import Terminal
from tests.operate.app import Command

SHELLS = ["bash", "zsh", "fish"]
BIN = Path(sys.executable).parent


def ask(shell: str, line: str, folder: Path) -> list[str]:
    """What the command answers to a shell whose line ends there, by the shell's own protocol."""
    words = line.split(" ")
    last = words[-1]
    position = last if shell == "fish" else str(len(words) - 1)
    environment = {**os.environ, "COMP_WORDS": line, "COMP_CWORD": position, "_RAMET_COMPLETE": f"{shell}_complete"}
    done = subprocess.run(
        [sys.executable, "-m", "ramet"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    if shell == "zsh":  # three lines each: type, value, help
        return lines[1::3]
    return [line.split(",", 1)[1].partition("\t")[0] for line in lines if line]


def offered(line: str) -> list[str]:
    """The same in this process: what click asks of the verbs, whichever the shell."""
    _, *words, last = line.split(" ")
    made = get_completion_class("bash")
    assert made is not None
    return [item.value for item in made(verbs, {}, "ramet", "_RAMET_COMPLETE").get_completions(words, last)]


ASKED = [
    pytest.param("ramet st", ["status"], id="a verb"),
    pytest.param("ramet migrate up", ["up"], id="a verb of a verb"),
    pytest.param("ramet up --det", ["--detach"], id="an option"),
    pytest.param("ramet up ", ["seed", "grown"], id="topologies"),
    pytest.param("ramet migrate new pe", ["people"], id="a module"),
    pytest.param("ramet routes ", ["tickets", "people"], id="modules"),
    pytest.param("ramet certs issue w", ["web"], id="a service"),
    pytest.param("ramet call people.", ["people.shout"], id="a call; what its module prints does not disturb"),
    pytest.param("ramet call tickets.submit title=x ", ["priority=", "due=", "tags=", "lines="], id="parameters that are left"),
    pytest.param("ramet call tickets.nothing ", [], id="parameters of no call"),
    pytest.param("ramet completion z", ["zsh"], id="a choice"),
    pytest.param("ramet logs ", [], id="instances, where nothing runs"),
]


@pytest.mark.parametrize(("line", "expected"), ASKED)
def test_names_of_the_application_are_offered(line: str, expected: list[str], desk: Command) -> None:
    """And verbs, options and choices."""
    assert offered(line) == expected


@pytest.mark.parametrize("shell", SHELLS)
def test_all_three_shells_are_answered_in_their_protocol(shell: str, desk: Command) -> None:
    """The words are the same."""
    assert ask(shell, "ramet ", desk.folder) == list(verbs.table)


def test_instances_are_offered_by_the_record_of_the_fleet(desk: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of one that has stopped without a word: its logs are what one wants to read then."""
    (tmp_path / "ramet.toml").write_text((desk.folder / "ramet.toml").read_text())
    (tmp_path / ".ramet").mkdir()
    instance = '{"name": "web-1", "service": "web", "socket": "", "http": "", "log": ""}'
    record = '{"pid": 1, "process_started": "", "app": "", "topology": "", "url": "", "log": "", "instances": [%s]}'
    (tmp_path / ".ramet/fleet.json").write_text(record % instance)
    monkeypatch.chdir(tmp_path)
    assert offered("ramet logs w") == ["web-1"]


@pytest.mark.parametrize("line", ["ramet up ", "ramet call ", "ramet call x.y ", "ramet routes ", "ramet logs "])
def test_outside_of_an_application_nothing_is_offered_and_nothing_said(
    line: str, empty: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A message would land in the middle of somebody's line."""
    monkeypatch.chdir(empty.folder)
    assert offered(line) == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It names the command and its variable, and ends in one newline."""
    assert run(["completion", shell]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert f"_RAMET_COMPLETE={shell}_complete" in said.out
    if shell in NO_SPACE:
        line, addition = NO_SPACE[shell]
        assert addition + line in said.out  # click's script still has the line
    assert said.out.endswith("\n")
    assert not said.out.endswith("\n\n")


def script(shell: str, folder: Path) -> Path:
    path = folder / f"completion.{shell}"
    path.write_text(
        subprocess.run([sys.executable, "-m", "ramet", "completion", shell], capture_output=True, text=True, check=True).stdout
    )
    return path


def in_shell(shell: str, text: str, folder: Path) -> list[str]:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"NOT TESTED: {shell} is not installed, so its script was not run")
    options = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(folder)}
    done = subprocess.run(
        [program, *options, "-c", text], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(("line", "expected"), [("ramet up gr", ["grown"]), ("ramet call people.sh", ["people.shout"])])
def test_bash_runs_its_script(line: str, expected: list[str], desk: Command, tmp_path: Path) -> None:
    """The function that the script registers, with the variables that bash sets when Tab is pressed."""
    words = line.split(" ")
    text = (
        f"source {script('bash', tmp_path)}; complete -p ramet >/dev/null || exit 1; COMP_WORDS=({shlex.join(words)});"
        f' COMP_CWORD={len(words) - 1}; _ramet_completion ramet; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    assert in_shell("bash", text, desk.folder) == expected


def test_fish_runs_its_script(desk: Command, tmp_path: Path) -> None:
    """fish completes without a terminal."""
    assert in_shell("fish", f"source {script('fish', tmp_path)}; complete -C 'ramet up gr'", desk.folder) == ["grown"]


@pytest.fixture
def bash(desk: Command, tmp_path: Path) -> Iterator[Terminal]:
    """One that a person sits at, with the script loaded."""
    path = f"{BIN}:{os.environ['PATH']}"
    terminal = Terminal(["bash", "--norc", "--noprofile", "-i"], desk.folder, {"PATH": path, "PS1": "$ ", "INPUTRC": "/dev/null"})
    terminal.type(f"source {script('bash', tmp_path)}; echo load''ed\n")
    terminal.wait_said("loaded")
    yield terminal
    terminal.close()


def test_tab_completes_in_bash(bash: Terminal) -> None:
    """A verb, a call, and the name of its parameter, behind which the value follows at once."""
    at = len(bash.said)
    bash.type("ramet cal\t")
    at = bash.wait_said("ramet call ", after=at)
    bash.type("tickets.br\t")
    at = bash.wait_said("tickets.broken ", after=at)
    bash.type("\x15ramet call people.shout ti\t")
    at = bash.wait_said("title=", after=at)
    bash.type("x")
    bash.wait_said("title=x", after=at - len("title="))


@pytest.mark.skipif(shutil.which("zsh") is None, reason="NOT TESTED: zsh is not installed, so its script was not run")
def test_tab_completes_in_zsh(desk: Command, tmp_path: Path) -> None:
    """zsh completes on a terminal only."""
    environment = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(tmp_path), "PS1": "$ "}
    terminal = Terminal(["zsh", "-f", "-i"], desk.folder, environment)
    try:
        terminal.type(f"autoload -U compinit; compinit -u; source {script('zsh', tmp_path)}; echo load''ed\n")
        at = terminal.wait_said("loaded")
        terminal.type("ramet up gr\t")
        at = terminal.wait_said("ramet up grown ", after=at)
        terminal.type("\x15ramet call people.shout ti\t")
        at = terminal.wait_said("title=", after=at)
        terminal.type("x")
        terminal.wait_said("title=x", after=at - len("title="))
    finally:
        terminal.close()
