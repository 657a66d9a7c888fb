"""The files of a git revision in a folder of their own."""

import tarfile
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from ramet.engines import git
from ramet.errors import ConfigError
from ramet.kit.near import did_you_mean


def top_of(folder: Path) -> Path:
    """Of the repository that a folder is in. Raises ConfigError."""
    done = git.ask(folder, "rev-parse", "--show-toplevel")
    if done.returncode:
        raise ConfigError(f"{folder} is in no git repository", hint="--against needs a revision to compare with")
    return Path(done.stdout.rstrip("\n")).resolve()


@contextmanager
def checked_out(top: Path, revision: str) -> Generator[Path]:
    """All files of a revision, until the block ends. The working tree is not touched. Raises ConfigError."""
    commit = git.ask(top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if commit.returncode:
        known = ["HEAD", *git.ask(top, "for-each-ref", "--format=%(refname:short)").stdout.split()]
        raise ConfigError(f"there is no revision `{revision}`", where=str(top), hint=did_you_mean(revision, known) or "git log")
    with tempfile.TemporaryDirectory(prefix="ramet-") as scratch:
        folder = Path(scratch).resolve() / "tree"
        archive = Path(scratch) / "tree.tar"
        done = git.ask(top, "archive", "--format=tar", f"--output={archive}", commit.stdout.strip())
        if done.returncode:
            raise ConfigError(f"git archive: {done.stderr.strip()}", where=str(top))
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        yield folder
