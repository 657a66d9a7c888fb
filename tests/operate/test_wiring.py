"""What runs in a folder, as `ramet call` and `ramet shell` see it."""

import asyncio
import os
from pathlib import Path

import pytest

from ramet.engines.identity import Identity, identify, write_pidfile
from ramet.errors import Unavailable
from ramet.model.launch import FleetRecord, InstanceRecord
from ramet.operate.folder import DEV_INSTANCE, Folder
from ramet.operate.wiring import find_running


def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path / ".ramet")
    made.root.mkdir()
    return made


def ourselves() -> Identity:
    """A process that runs, whatever it is."""
    found = identify(os.getpid())
    assert found is not None
    return found


def record(tmp_path: Path, supervisor: Identity) -> FleetRecord:
    return FleetRecord(
        pid=supervisor.pid,
        process_started=supervisor.started,
        app="shop",
        topology="seed",
        url="http://127.0.0.1:1",
        log="",
        instances=[InstanceRecord("main-1", "main", str(tmp_path / "nobody.sock"), "127.0.0.1:1", "")],
    )


def test_a_fleet_that_does_not_answer_is_not_gone_around(tmp_path: Path) -> None:
    """To run its modules here would be a second system on its data."""
    here = folder(tmp_path)
    here.save(record(tmp_path, ourselves()))
    with pytest.raises(Unavailable, match="shop runs here, and none of its instances is ready") as caught:
        asyncio.run(find_running(here, "shop"))
    assert caught.value.hint == "ramet status"


def test_the_record_of_a_fleet_that_died_with_its_instances_is_nothing(tmp_path: Path) -> None:
    """A machine that was switched off leaves one."""
    here = folder(tmp_path)
    here.save(record(tmp_path, Identity(ourselves().pid, "long ago")))
    assert asyncio.run(find_running(here, "shop")) is None


def test_a_dev_that_does_not_answer_is_not_gone_around(tmp_path: Path) -> None:
    """It may be between two versions, or have one that does not start; it says which."""
    here = folder(tmp_path)
    here.instance(DEV_INSTANCE).mkdir(parents=True)
    write_pidfile(here.instance(DEV_INSTANCE) / "pid", ourselves())
    with pytest.raises(Unavailable, match="`ramet dev` runs here, and its instance does not answer"):
        asyncio.run(find_running(here, "shop"))


def test_an_empty_folder_is_nothing(tmp_path: Path) -> None:
    """Then everything is placed together."""
    assert asyncio.run(find_running(folder(tmp_path), "shop")) is None
