"""From the import paths of an application to its modules: the one place where users' code is imported."""

import importlib
import importlib.util
import pkgutil
import sys
import traceback
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from ramet.edge import problems
from ramet.edge.problems import RenderProblem
from ramet.errors import ConfigError, RametError
from ramet.kit.near import did_you_mean
from ramet.model.topology import Application
from ramet.module import Module
from ramet.observe import logs

FACE = "api"
OTHERS = ("handlers", "schedules")
"""Files of a package that are imported beside its face, where they exist: they declare things by being imported."""


def import_modules(application: Application) -> dict[str, Module]:
    """Name -> Module, in the order of the application's list.

    Raises ConfigError, with the place in the user's code, for what cannot be imported, declares no Module, or another one than
    its name says; and what the declarations themselves raise.
    """
    with logs.kept():
        modules = {name: _module_of(name, path, application) for name, path in application.modules.items()}
    for module in modules.values():
        for used in sorted(module.uses):
            if used not in modules:
                hint = did_you_mean(used, modules) or "add its package to [app] modules in ramet.toml"
                raise ConfigError(f"module `{module.name}` uses `{used}`, which is no module of the application", hint=hint)
    return modules


def import_function(path: str) -> Callable[..., Any]:
    """`package.module:function`. Raises ConfigError."""
    module_path, _, name = path.partition(":")
    try:
        function = getattr(importlib.import_module(module_path), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"{path} cannot be imported: {error}", where="ramet.toml", hint='write it as "shop.http:render"'
        ) from error
    if not callable(function):
        raise ConfigError(f"{path} is not a function", where="ramet.toml")
    return function


def import_render(application: Application) -> RenderProblem:
    """The shape that the application gives its problems; RFC 9457's where it names none. Raises ConfigError."""
    return import_function(application.http_problems) if application.http_problems else problems.render


def import_face(path: str) -> ModuleType:
    """The Python module that others import of a package of the application: its `api`, or the package itself."""
    return importlib.import_module(f"{path}.{FACE}" if importlib.util.find_spec(f"{path}.{FACE}") else path)


def _module_of(name: str, path: str, application: Application) -> Module:
    package = _import(path, application)
    spec = package.__spec__
    files = [package]
    if spec is not None and spec.submodule_search_locations is not None:
        files += [
            _import(f"{path}.{file}", application) for file in (FACE, *OTHERS) if importlib.util.find_spec(f"{path}.{file}")
        ]
    found = _faces(files)
    if name not in found:
        known = f"it declares {', '.join(map(repr, found))}" if found else "it declares none"
        raise ConfigError(
            f"the package {path} has no Module named {name!r}; {known}",
            where=getattr(package, "__file__", None) or path,
            hint=f'module = Module("{name}") in {path}.{FACE}',
        )
    return found[name]


def _faces(files: list[ModuleType]) -> Mapping[str, Module]:
    return {value.name: value for file in files for value in vars(file).values() if isinstance(value, Module) and value.name}


def _import(path: str, application: Application) -> ModuleType:
    try:
        return importlib.import_module(path)
    except RametError:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and (path == error.name or path.startswith(f"{error.name}.")):
            hint = _meant(path) or "is the folder that holds it the current one, or on PYTHONPATH?"
            raise ConfigError(f"there is no package {path}", where=_place(application), hint=hint) from error
        raise _broken(path, error) from error
    except Exception as error:
        raise _broken(path, error) from error


def _meant(path: str) -> str | None:
    """The package beside it that has a name like it."""
    parent, _, name = path.rpartition(".")
    beside = getattr(sys.modules.get(parent), "__path__", ())
    return did_you_mean(name, (each.name for each in pkgutil.iter_modules(beside)))


def _broken(path: str, error: Exception) -> ConfigError:
    frames = traceback.extract_tb(error.__traceback__)
    last = next((frame for frame in reversed(frames) if "importlib" not in frame.filename and frame.filename != __file__), None)
    where = f"{last.filename}:{last.lineno}" if last else path
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{error.filename}:{error.lineno}"
    return ConfigError(f"{path} does not import: {type(error).__name__}: {error}", where=where)


def _place(application: Application) -> str:
    line = application.lines.get(("app", "modules"))
    return f"ramet.toml:{line}" if line else "ramet.toml"
