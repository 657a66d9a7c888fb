"""Another version of the application and this one, for a comparison: a git revision, or what runs in this folder.

Both are imported, each in a process of its own: what their calls are is known to nobody else.
"""

import asyncio
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from ramet.check import judging, opening, sites
from ramet.check.deployed import Version, compare
from ramet.check.report import Report
from ramet.cli import revisions
from ramet.errors import ConfigError, PlanImpossible
from ramet.model.release import Release
from ramet.operate import files, releases
from ramet.operate.client import Client
from ramet.operate.folder import Folder

RUNNING = "running"
"""In place of a revision: what runs in this folder. A branch of this name is `refs/heads/running`."""
HERE = "the working tree"
_FRAME = re.compile(r"^this version cannot run: |\s*\[RM\d{3}\]$")
"""What is said around the reason, which is said again around ours."""


def report(file: Path, deployed: str) -> Report:
    """The application of a ramet.toml against a git revision, or what runs. Raises ConfigError; Unavailable if nothing runs."""
    if deployed == RUNNING:
        return with_running(file)
    return with_revision(file, deployed)


def with_running(file: Path) -> Report:
    """Of what runs there are contracts and `uses`, and no source: whoever declares the use counts as a caller."""
    found = Client(Folder(file.parent / ".ramet")).releases()
    old = [Version(f"{each.version}, which runs", sites.contracts_of(each), sites.sites_by_uses(each)) for each in found]
    return _report(file, old)


def with_revision(file: Path, revision: str) -> Report:
    folder = file.parent
    top = revisions.top_of(folder)
    with revisions.checked_out(top, revision) as tree:
        before = tree / folder.relative_to(top) / files.FILE
        if not before.is_file():
            raise ConfigError(f"there is no {files.FILE} in {revision} at {folder.relative_to(top)}", where=str(top))
        try:
            old = _version(before, revision, _moved(top, tree))
        except ConfigError as error:
            raise _placed(error, tree, revision) from error
    return _report(file, [old])


def _version(file: Path, revision: str, path: Sequence[Path]) -> Version:
    project = opening.of_application(files.load(file), file, path=path, cached=False).project
    return Version(revision, sites.contracts_of(_release(file, revision, path)), sites.sites_in(project))


def _moved(top: Path, tree: Path) -> list[Path]:
    """What of the import path is in the repository, such as its `src`, as it is in the revision."""
    inside = [Path(entry) for entry in sys.path if entry and Path(entry).is_relative_to(top)]
    return [moved for entry in inside if (moved := tree / entry.relative_to(top)).is_dir()]


def _placed(error: ConfigError, tree: Path, revision: str) -> ConfigError:
    """With `main:shop/api.py`, as git names a file of a revision, in place of one in a folder that is gone by now."""

    def named(text: str) -> str:
        return text.replace(f"{tree}/", f"{revision}:").replace(str(tree), revision)

    hint = error.hint or f"compare with a revision that is whole, or correct what {revision} lacks, such as a library"
    return ConfigError(named(error.message), where=error.where and named(error.where), hint=named(hint))


def _report(file: Path, deployed: Sequence[Version]) -> Report:
    opened = opening.of_application(files.load(file), file)
    contracts = sites.contracts_of(_release(file, HERE, ()))
    new = Version(HERE, contracts, sites.sites_in(opened.project), sites.places_in(opened))
    return judging.report_of(opened, [finding for old in deployed for finding in compare(old, new)])


def _release(file: Path, version: str, path: Sequence[Path]) -> Release:
    """Imported, in a process of its own. Raises ConfigError."""
    try:
        return asyncio.run(releases.look(file.parent, (), path=path))
    except PlanImpossible as error:
        reason = _FRAME.sub("", error.message)
        raise ConfigError(f"{version} does not import: {reason}", where=error.where, hint=error.hint) from error
