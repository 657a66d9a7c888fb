"""git, asked about the repository that a folder is in.

A hook, or a `git rebase --exec`, says by GIT_DIR and the like which repository it is of. Whoever runs us from there means the
folder's own.
"""

import os
import subprocess
from pathlib import Path

from ramet.errors import ConfigError


def ask(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Its answer, also where it refuses: see `returncode`. Raises ConfigError where there is no git."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        return subprocess.run(  # noqa: S603  (a fixed program)
            ["git", "-C", str(folder), *arguments],  # noqa: S607  (the user's git)
            env=environment,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",  # as names of files are decoded
            check=False,
        )
    except OSError as error:
        raise ConfigError(f"git cannot be run: {error.strerror}", hint="is it installed, and on the PATH?") from error
