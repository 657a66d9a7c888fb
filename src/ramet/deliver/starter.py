"""A new application: from its name to its files, which are those in `starter_files` with the name filled in.

The templates end in `.tpl`, so that no tool takes them for code of ours; `tests/deliver` runs ruff and pyright on what comes
out of them.
"""

import keyword
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from ramet.errors import ConfigError
from ramet.model.toml import NAMES, is_name

_TEMPLATES = Path(__file__).parent / "starter_files"
_SUFFIX = ".tpl"
_OWN = frozenset({"ramet", "tests", "conftest"})
"""What a package beside `tests`, in an application on Ramet, cannot be called."""


def package_of(name: str) -> str:
    """The Python package of an application: `my_shop` for `my-shop`."""
    return name.replace("-", "_")


def check_name(name: str, *, installed: Mapping[str, object]) -> None:
    """Raises ConfigError, with a name that would do.

    installed: top-level packages of this environment; one of the same name would be imported in the application's place, or the
    other way round.
    """
    package = package_of(name)
    if not is_name(name):
        problem, hint = f"{name!r} cannot be the name of an application", NAMES
    elif keyword.iskeyword(package) or keyword.issoftkeyword(package):
        problem, hint = f"an application cannot be called `{name}`: it is a word of Python's own", ""
    elif package in sys.stdlib_module_names:
        problem, hint = f"an application cannot be called `{name}`: Python's own module {package} has that name", ""
    elif package in _OWN or package in installed:
        problem, hint = f"an application cannot be called `{name}`: the package {package} is there already", ""
    else:
        return
    raise ConfigError(problem, hint="; ".join(filter(None, [f"ramet new {_like(name)}", hint])))


def _like(name: str) -> str:
    """A name that can be used and looks like this one: `my_shop` for `My Shop!`, `json_app` for `json`."""
    words = re.sub(r"[^a-z0-9_-]+", "_", name.lower()).strip("_-").lstrip("0123456789_-")[:44].rstrip("_-")
    changed = words if words and words != name else f"{words or 'my'}_app"
    return changed if changed not in sys.stdlib_module_names and not keyword.iskeyword(changed) else f"{changed}_app"


def files(name: str) -> dict[str, str]:
    """Path -> text of each file of a new application, in order of path. name: one that `check_name` lets pass."""
    words = {"{{ name }}": name, "{{ package }}": package_of(name)}
    made: dict[str, str] = {}
    for template in _TEMPLATES.rglob(f"*{_SUFFIX}"):
        path = template.relative_to(_TEMPLATES).as_posix().removesuffix(_SUFFIX)
        text = template.read_text(encoding="utf-8")
        for mark, word in words.items():
            text = text.replace(mark, word)
        made[_path(path, words["{{ package }}"])] = text
    return dict(sorted(made.items()))


def _path(path: str, package: str) -> str:
    """`package/` becomes the application's own. Among the templates .gitignore has no dot, or git would obey it there."""
    first, _, rest = path.partition("/")
    return ".gitignore" if path == "gitignore" else f"{package}/{rest}" if first == "package" else path
