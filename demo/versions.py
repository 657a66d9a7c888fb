"""Two further versions of Conduit, each a copy of the example in a folder of its own: a good one and a broken one."""

import shutil
from pathlib import Path

EXAMPLE = Path(__file__).parent.parent / "examples" / "conduit"
SHARE = 0.2
"""Of reads of articles that the broken version fails."""

_SOMETIMES = f'''

def sometimes(value: Any) -> Any:
    """The bug of this release."""
    if random.random() < {SHARE}:
        raise LookupError("an article that was there a moment ago")
    return value
'''


def copy(folder: Path) -> Path:
    """The example without its tests and without what runs in it."""
    ignored = shutil.ignore_patterns(".ramet", "__pycache__", ".*_cache", "tests")
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True, ignore=ignored)
    return folder


def good(folder: Path) -> Path:
    """Another version number, and a summary of its own in the document."""
    copy(folder)
    _replace(folder / "ramet.toml", 'version = "1.0.0"', 'version = "1.1.0"')
    return folder


def broken(folder: Path) -> Path:
    """One in five reads of an article or a list of them raises what this code never raised."""
    copy(folder)
    _replace(folder / "ramet.toml", 'version = "1.0.0"', 'version = "1.2.0"')
    store = folder / "conduit" / "articles" / "store.py"
    _replace(store, "from collections.abc import Sequence\n", "import random\nfrom collections.abc import Sequence\n")
    store.write_text(store.read_text() + _SOMETIMES)
    api = folder / "conduit" / "articles" / "api.py"
    _replace(api, "fetchrow(store.GET, slug)", "fetchrow(store.GET, store.sometimes(slug))")
    _replace(api, "store.page(tag=tag is not None", "store.page(tag=store.sometimes(tag is not None)")
    return folder


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1, f"{file} has {old!r} {text.count(old)} times; the demo's versions are made by replacing it"
    file.write_text(text.replace(old, new))
