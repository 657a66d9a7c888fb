"""Under which user an engine runs. PostgreSQL refuses root, so root hands it to an account without rights."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from ramet.engines.errors import EngineUnfit


@dataclass(frozen=True, slots=True)
class Account:
    uid: int
    gid: int

    @property
    def owner(self) -> tuple[int, int]:
        return self.uid, self.gid


def lesser_account(name: str) -> Account | None:
    """The account to drop to; None if we are not root and so run engines as ourselves."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise EngineUnfit(
            f"there is no user `{name}` to run the engine as, and it refuses to run as root",
            where="/etc/passwd",
            hint="name a user that exists, or start Ramet as an ordinary user",
        ) from None
    return Account(entry.pw_uid, entry.pw_gid)


def owner_of(path: Path) -> Account:
    status = path.stat()
    return Account(status.st_uid, status.st_gid)


def is_reachable(path: Path, account: Account | None) -> bool:
    """Whether the account may walk to `path`, judged by the mode bits of every directory above it.

    None is ourselves, who made the path. Access lists and security modules are not looked at.
    """
    if account is None:
        return True
    return all(_may_enter(parent.stat(), account) for parent in path.resolve().parents)


def _may_enter(status: os.stat_result, account: Account) -> bool:
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)
