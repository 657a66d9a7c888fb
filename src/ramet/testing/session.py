"""What the tests of one application share for as long as a process of pytest runs, made when the first test asks for it."""

import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from ramet.engines.identity import identify
from ramet.errors import RametError
from ramet.kit.near import did_you_mean
from ramet.module import Module
from ramet.operate.current import Current
from ramet.operate.folder import Folder
from ramet.operate.leftovers import end_instances
from ramet.testing import placements
from ramet.testing.background import Background
from ramet.testing.databases import SessionDatabase
from ramet.testing.errors import PlacementRefused
from ramet.testing.http import Http, served_here, to_instances
from ramet.testing.instances import Instances, apart
from ramet.testing.losses import Losses
from ramet.testing.marking import PROCESSES, TOGETHER, Wanted
from ramet.testing.switchboard import Switchboard


class Session:
    """Of one application. Everything in it is closed by `close`, which may be called at any time."""

    def __init__(self, app: Current) -> None:
        self.app = app
        self._root = app.folder.root / "testing"
        self._folder = Folder(self._root / "processes" / str(os.getpid()))
        self._background = Background()
        self._database: SessionDatabase | None = None
        self._instances: dict[str | None, Instances] = {}
        self._is_begun = False
        self._broken: dict[Wanted, RametError] = {}
        """What could not be started: not tried again for each test."""

    def __repr__(self) -> str:
        return f"<Session of {self.app.application.name}: {self._database}, {len(self._instances)} layouts in processes>"

    def prepare(self, wanted: Wanted) -> None:
        """Start what the test needs and put the data back to its beginning. Raises what keeps a part from starting."""
        if (broken := self._broken.get(wanted)) is not None:
            raise broken
        try:
            self._prepare(wanted)
        except RametError as error:
            self._broken[wanted] = error
            raise

    def _prepare(self, wanted: Wanted) -> None:
        if not self._is_begun:
            self._begin()
        if self._database is not None:
            self._background.run(self._database.reset())
        if wanted.placement == PROCESSES:
            self.instances(wanted).mark_logs()

    def _begin(self) -> None:
        self._folder.make()
        self._background.run(self._forget_killed())
        with_data = [module for module in self.app.modules.values() if module.db is not None]
        if with_data:
            self._database = self._open_database(with_data)
        self._is_begun = True

    def _open_database(self, with_data: list[Module]) -> SessionDatabase:
        application = self.app.application
        database = SessionDatabase(self._root, with_data, application.modules, is_on_path=application.postgres == "path")
        try:
            self._background.run(database.open())
        except BaseException:
            self._background.run(database.close())
            raise
        return database

    async def _forget_killed(self) -> None:
        """End the instances of processes that were killed."""
        for path in (self._root / "processes").iterdir():
            if path.name.isdigit() and identify(int(path.name)) is None:
                for folder in (Folder(path), *(Folder(layout) for layout in path.iterdir())):
                    await end_instances(folder)
                    folder.forget_sockets()
                shutil.rmtree(path, ignore_errors=True)

    def instances(self, wanted: Wanted) -> Instances:
        """Of the topology, running."""
        found = self._instances.get(wanted.topology)
        if found is None:
            application = self.app.application
            topology = apart(application)
            if wanted.topology is not None:
                known = application.topologies
                if wanted.topology not in known:
                    hint = did_you_mean(wanted.topology, known) or f"known: {', '.join(known)}"
                    raise PlacementRefused(f"there is no topology {wanted.topology!r} in {self.app.file}", hint=hint)
                topology = known[wanted.topology]
            folder = Folder(self._folder.root / (wanted.topology or "apart"))
            urls = self._database.urls() if self._database is not None else {}
            found = Instances(application, self.app.file, topology, folder, urls, self._background)
            found.start()
            self._instances[wanted.topology] = found
        return found

    @asynccontextmanager
    async def placed(self, wanted: Wanted, losses: Losses) -> AsyncGenerator[Switchboard]:
        """The application placed for one test, after `prepare`."""
        urls = self._database.urls() if self._database is not None else {}
        scene = placements.Scene(self.app.application, self.app.modules, urls, self._folder.sockets)
        if wanted.placement == PROCESSES:
            making = placements.across_processes(scene, self.instances(wanted))
        elif wanted.placement == TOGETHER:
            making = placements.together(scene)
        else:
            making = placements.over_the_wire(scene, losses)
        async with making as board:
            yield board

    @asynccontextmanager
    async def http(self, wanted: Wanted) -> AsyncGenerator[Http]:
        if wanted.placement == PROCESSES:
            instances = self.instances(wanted)
            yield to_instances(self.app.application, self.app.modules, instances.topology, instances.http)
        else:
            async with served_here(self.app.application, self.app.modules.values()) as client:
                yield client

    def close(self) -> None:
        for instances in self._instances.values():
            instances.stop()
        self._instances.clear()
        if self._database is not None:
            self._background.run(self._database.close())
            self._database = None
        self._background.close()
        self._folder.forget_sockets()
        shutil.rmtree(self._folder.root, ignore_errors=True)
