"""What one instance needs to start, and how it says what is missing: exit code 2, and no traceback."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ramet.errors import ConfigError
from ramet.model.routing import Address, RoutingTable
from ramet.process.control import load_table, save_table
from tests.operate import app
from tests.operate.app import Command

pytestmark = pytest.mark.timeout(120)


def start(launch: Path | None) -> tuple[int, str]:
    """Exit code, and all that it said."""
    arguments = [str(launch)] if launch else []
    environment = {**os.environ, "RAMET_LOG_FORMAT": "plain"}
    done = subprocess.run(
        [sys.executable, "-m", "ramet.process", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def refused(launch: Path | None) -> str:
    code, said = start(launch)
    assert code == 2, said
    assert "Traceback" not in said
    return said


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An application without a database."""
    app.write(tmp_path)
    for name in ("orders", "front"):
        (tmp_path / f"shop/{name}/api.py").write_text(f'from ramet import Module\nmodule = Module("{name}")\n')
    (tmp_path / "state").mkdir()
    return tmp_path


def launch(folder: Path, **changes: Any) -> Path:
    values = {
        "application": str(folder / "ramet.toml"),
        "service": "main",
        "instance": "main-1",
        "modules": ["orders", "front"],
        "state": str(folder / "state"),
        **changes,
    }
    path = folder / "launch.json"
    path.write_text(json.dumps(values))
    return path


# The launch file


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="cut off"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'{"application": 3}', id="another type"),
        pytest.param(b"{}", id="fields missing"),
        pytest.param(b"\xff\xfe", id="no text"),
    ],
)
def test_a_damaged_launch_file_is_named(folder: Path, content: bytes) -> None:
    """Whoever supervises does not try again in a loop."""
    path = folder / "launch.json"
    path.write_bytes(content)
    said = refused(path)
    assert "the launch file cannot be read" in said
    assert f"at: {path}" in said


def test_a_launch_file_that_is_not_there_is_named(folder: Path) -> None:
    """So is none at all."""
    assert str(folder / "nothing.json") in refused(folder / "nothing.json")
    assert "usage: python -m ramet.process" in refused(None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"application": "/nothing/ramet.toml"}, "/nothing/ramet.toml", id="no application"),
        pytest.param({"settings": {"RAMET_MAX_CALLS": "x"}}, "RAMET_MAX_CALLS is 'x'", id="a setting"),
        pytest.param(
            {"http_host": "203.0.113.1", "http_port": 1}, "assign requested address", id="an address of another machine"
        ),
        pytest.param({"calls_host": "0.0.0.0"}, "without a certificate", id="calls over the network without a certificate"),
        pytest.param({"certificates": "/nothing"}, "/nothing/authority.pem", id="certificates that are not there"),
    ],
)
def test_what_a_launch_asks_for_must_be_possible(folder: Path, changes: dict[str, Any], message: str) -> None:
    """Told with the value that was asked for."""
    assert message in refused(launch(folder, **changes))


def test_code_that_does_not_import_keeps_an_instance_from_starting(folder: Path) -> None:
    """With its file and line, in the instance's own log."""
    file = folder / "shop/front/api.py"
    file.write_text("x = = 1\n")
    assert f"{file}:1" in refused(launch(folder))


# The last routing table


def test_a_routing_table_survives_on_disk(tmp_path: Path) -> None:
    """What an instance goes on with while nobody can tell it anything."""
    table = RoutingTable(7, {"orders": [Address("orders-1", "orders", unix="/run/x"), Address("orders-2", "orders", port=1)]})
    assert load_table(tmp_path / "routing.json") is None
    save_table(tmp_path / "routing.json", table)
    assert load_table(tmp_path / "routing.json") == table
    assert [path.name for path in tmp_path.iterdir()] == ["routing.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"null", b'{"epoch": "x", "modules": {}}', b'{"epoch": 1}', b"\xff"])
def test_a_damaged_routing_table_is_named_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    """It is not taken for none: the instance would call nobody and say nothing."""
    path = tmp_path / "routing.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="the last routing table cannot be read") as caught:
        load_table(path)
    assert caught.value.where == str(path)
    assert caught.value.hint == f"remove {path}; it will be sent again"


def test_an_instance_does_not_start_with_a_damaged_routing_table(folder: Path) -> None:
    """Its log names the file."""
    (folder / "state/routing.json").write_text("{")
    assert str(folder / "state/routing.json") in refused(launch(folder))


# The database


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Command]:
    command = Command(app.write(tmp_path))
    yield command
    command.clean()


def test_an_instance_needs_the_url_of_each_database(tmp_path: Path) -> None:
    """An operator's mistake, found before a request finds it."""
    app.write(tmp_path)
    (tmp_path / "state").mkdir()
    assert "module `orders` has a database, and this instance was told no URL for it" in refused(launch(tmp_path))


def test_an_instance_whose_migrations_are_missing_names_the_command(shop: Command) -> None:
    """It looks and never migrates: of two that start at once one would stand in the other's way."""
    shop.up("seed")
    running = json.loads((shop.folder / ".ramet/instances/main-1/launch.json").read_text())
    shop.ok("migrate", "new", "orders", "more")
    (shop.folder / "state").mkdir()
    said = refused(launch(shop.folder, databases=running["databases"]))
    assert "the database of `orders` is at 0001 and lacks 1: " in said
    assert "hint: ramet migrate up orders" in said
    assert shop.run("migrate", "status").returncode == 1  # it left the database as it was
