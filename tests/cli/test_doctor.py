"""`ramet doctor` on this machine, and where nothing but the core is installed."""

import json
import re
import socket
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

import ramet
from ramet.engines.identity import identify, write_pidfile
from ramet.engines.locks import DirectoryLock
from tests.operate.app import Command

NO_ENGINE = '[engines]\npostgres = "path"\n'
"""Of tests that are not about PostgreSQL: none is started where none is on the PATH."""
APPLICATION = '[app]\nname = "a"\nmodules = ["somewhere"]\n' + NO_ENGINE


def findings(command: Command, *arguments: str, code: int = 0) -> dict[str, dict[str, Any]]:
    done = command.run("doctor", "--json", *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    return {each["subject"]: each for each in json.loads(done.stdout)}


def test_on_this_machine_engines_start(shop: Command) -> None:
    """Really: PostgreSQL in a folder of its own, which is gone afterwards."""
    before = {path for path in Path("/tmp").glob("ramet-doctor-*")}
    found = findings(shop)
    assert {path for path in Path("/tmp").glob("ramet-doctor-*")} <= before
    assert " starts, from " in found["postgres"]["found"]
    assert found["envoy"]["found"].startswith("1.")
    assert found["modules"]["found"] == "orders, front can be imported"
    assert found["application"]["found"] == str(shop.folder / "ramet.toml")
    assert found["python"]["status"] == "ok"
    assert not (shop.folder / ".ramet").exists()


def test_a_module_that_does_not_import_ends_it_with_1(shop: Command) -> None:
    """The finding has the line, on the page for people too."""
    (shop.folder / "shop/front/api.py").write_text("import nothing_like_it\n")
    file = shop.folder / "ramet.toml"
    file.write_text(file.read_text() + NO_ENGINE)
    found = findings(shop, code=1)
    assert found["modules"]["status"] == "missing"
    assert "shop/front/api.py:1" in found["modules"]["mend"]
    done = shop.run("doctor")
    assert done.returncode == 1
    assert "missing  modules" in done.stdout
    assert "mend: correct " in done.stdout
    assert re.match(r"[12] missing, \d+ to watch, \d+ fine\n", done.stderr)


def test_a_port_that_was_asked_for_and_is_taken(empty: Command) -> None:
    """With the command that shows by whom."""
    (empty.folder / "ramet.toml").write_text(APPLICATION)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = findings(empty, "--port", str(port), code=1)
    assert found[f"port {port}"]["mend"] == f"ss -ltnp 'sport = :{port}'"


def test_what_a_dead_supervisor_left_is_found(empty: Command) -> None:
    """A process that runs, and whose supervisor's lock nobody holds. With the lock held, it is watched."""
    (empty.folder / "ramet.toml").write_text(APPLICATION)
    folder = empty.folder / ".ramet" / "instances" / "web-1"
    folder.mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as left:
        identity = identify(left.pid)
        assert identity is not None
        write_pidfile(folder / "pid", identity)
        found = findings(empty, code=1)
        assert found["leftovers"]["found"] == f"nobody watches web-1, process {left.pid}"
        assert found["leftovers"]["mend"] == "ramet down"
        lock = DirectoryLock(empty.folder / ".ramet" / "lock", what="a")
        lock.acquire()
        try:
            assert findings(empty, code=1)["leftovers"]["status"] == "ok"
        finally:
            lock.release()
        left.communicate(b"\n")
    assert findings(empty, code=1)["leftovers"]["status"] == "ok"


# Nothing but the core


@pytest.fixture
def core(tmp_path: Path) -> Command:
    """The command where only the core's two distributions are installed, in a folder without an application."""
    site = tmp_path / "site"
    site.mkdir()
    for name in ("click", "msgspec"):
        for path in distribution(name).files or ():
            top = path.parts[0]
            if top != ".." and not (site / top).exists():
                (site / top).symlink_to(Path(str(distribution(name).locate_file(top))))
    (site / "ramet").symlink_to(Path(ramet.__file__).parent)
    metadata = next(path.parts[0] for path in distribution("ramet").files or () if path.parts[0].endswith(".dist-info"))
    (site / metadata).symlink_to(Path(str(distribution("ramet").locate_file(metadata))))
    return _Core(tmp_path, site)


class _Core(Command):
    def __init__(self, folder: Path, site: Path) -> None:
        super().__init__(folder)
        self._site = site

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        script = "import sys; sys.path.insert(0, sys.argv.pop(1)); from ramet.cli import main; main()"
        return subprocess.run(
            [sys.executable, "-S", "-c", script, self._site, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder)},
        )


def test_with_nothing_but_the_core_it_says_what_to_install(core: Command) -> None:
    """Each extra with its command: this is the verb of whoever has just typed `pip install ramet`."""
    found = findings(core, code=1)
    assert found["application"]["status"] == "warn"
    for extra in ("serve", "postgres", "envoy"):
        assert (found[f"extra {extra}"]["status"], found[f"extra {extra}"]["mend"]) == (
            "missing",
            f"pip install 'ramet[{extra}]'",
        )
    assert found["postgres"]["mend"] == "pip install 'ramet[postgres]'"
    assert found["core"]["status"] == "ok"


def test_with_nothing_but_the_core_other_verbs_name_the_extra_that_they_need(core: Command) -> None:
    """`--help` lists them all the same."""
    text = core.ok("--help")
    assert "not installed: pip install 'ramet[serve]'" in text
    for verb, extra in (("dev", "serve"), ("migrate", "postgres"), ("certs", "tls")):
        done = core.run(verb, "--help")
        assert done.returncode == 2
        assert f"error: ramet {verb} needs " in done.stderr
        assert f"hint: pip install 'ramet[{extra}]'" in done.stderr
