"""The files of a git revision in a folder of their own."""

import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from ramet.errors import ConfigError
from ramet.kit.near import did_you_mean


def top_of(folder: Path) -> Path:
    """Of the repository that a folder is in. Raises ConfigError."""
    if shutil.which("git") is None:
        raise ConfigError("git is not installed, or not on the PATH")
    done = _git(folder, "rev-parse", "--show-toplevel")
    if done.returncode:
        raise ConfigError(f"{folder} is in no git repository", hint="--against needs a revision to compare with")
    return Path(done.stdout.decode().strip()).resolve()


@contextmanager
def checked_out(top: Path, revision: str) -> Generator[Path]:
    """All files of a revision, until the block ends. The working tree is not touched. Raises ConfigError."""
    commit = _git(top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if commit.returncode:
        known = ["HEAD", *_git(top, "for-each-ref", "--format=%(refname:short)").stdout.decode().split()]
        raise ConfigError(f"there is no revision `{revision}`", where=str(top), hint=did_you_mean(revision, known) or "git log")
    with tempfile.TemporaryDirectory(prefix="ramet-") as scratch:
        folder = Path(scratch).resolve() / "tree"
        archive = Path(scratch) / "tree.tar"
        done = _git(top, "archive", "--format=tar", f"--output={archive}", commit.stdout.decode().strip())
        if done.returncode:
            raise ConfigError(f"git archive: {done.stderr.decode(errors='replace').strip()}", where=str(top))
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        yield folder


def _git(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=False)  # noqa: S603, S607  (the user's git)
