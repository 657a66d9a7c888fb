"""`.ramet`: what a fleet on this machine keeps beside `ramet.toml`.

    .ramet/fleet.json            the running fleet, for `status` and `down`; removed when it is stopped
    .ramet/lock                  held by the one that supervises
    .ramet/postgres  .ramet/envoy
    .ramet/instances/NAME/       launch.json, pid, log, routing.json
    .ramet/certificates          see `ramet certs`
    .ramet/shell-history         what was typed in `ramet shell`

Sockets are elsewhere, since a path of a socket may have 107 bytes at most and a project's folder may be deeper than that.
"""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from ramet.model.launch import FleetRecord
from ramet.wire import values

DEV_INSTANCE = "dev-1"
"""Name of the one instance of `ramet dev`."""
DEV_PORT = 8000
"""Of its HTTP entrance, unless another one is asked for."""


class Folder:
    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def __repr__(self) -> str:
        return f"<Folder {self.root}>"

    def instance(self, name: str) -> Path:
        return self.root / "instances" / name

    @property
    def sockets(self) -> Path:
        """A folder of this user's own with a short name, the same one each time for one project."""
        digest = hashlib.sha256(str(self.root).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"ramet-{os.getuid()}-{digest}"

    @property
    def door(self) -> Path:
        """Of the controller's API: where it is, and the token that it wants."""
        return self.root / "api.json"

    def make(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        self.sockets.mkdir(mode=0o700, exist_ok=True)
        owner = self.sockets.stat()
        if owner.st_uid != os.getuid() or owner.st_mode & 0o077:
            raise PermissionError(f"{self.sockets} belongs to somebody else, or others may enter it")

    def forget_sockets(self) -> None:
        shutil.rmtree(self.sockets, ignore_errors=True)

    def save(self, record: FleetRecord) -> None:
        path = self.root / "fleet.json"
        part = path.with_suffix(".part")
        part.write_bytes(values.encode_json(record))
        part.replace(path)

    def load(self) -> FleetRecord | None:
        """The fleet that was last started and not stopped; it may have died. None for none, or for a file that cannot be read."""
        try:
            return values.decode_json_as((self.root / "fleet.json").read_bytes(), FleetRecord)
        except (OSError, *values.DECODE_ERRORS):
            return None

    def forget(self) -> None:
        (self.root / "fleet.json").unlink(missing_ok=True)
