"""Layers, public names and forbidden imports: from ramet.toml, tach.toml and import-linter's contracts."""

import dataclasses
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ramet.check import importlinter, layers, opening, reading, tach
from ramet.check.import_rules import Forbidden, Layers, Row
from ramet.errors import ConfigError
from ramet.model import topology
from tests.check.support import check_application, check_package, told, write
from tests.docs.example import blocks

APP = '[app]\nname = "shop"\nmodules = ["shop.web", "shop.core", "shop.store"]\n'


def application(folder: Path, more: str = "", **apis: str) -> Path:
    """Three modules, each of which uses what its text imports."""
    write(folder, {"ramet.toml": APP + more, "shop/__init__.py": "", "shop/common.py": ""})
    for name in ("web", "core", "store"):
        text = apis.get(name, "")
        uses = [other for other in ("web", "core", "store") if f"shop.{other}" in text]
        write(
            folder,
            {
                f"shop/{name}/__init__.py": "",
                f"shop/{name}/api.py": f"{text}from ramet import Module\nmodule = Module('{name}', uses={uses!r})\ndef public(): ...\ndef other(): ...\n",
            },
        )
    return folder


# ramet.toml


def test_a_lower_layer_may_not_import_a_higher_one(tmp_path: Path) -> None:
    """Also in a function; the other way round is what layers are for."""
    folder = application(
        tmp_path,
        '[check]\nlayers = ["web", "core", "store"]\n',
        web="from shop.core import api\nfrom shop.store import api as s\n",
        store="def late():\n    from shop.core import api\n",
    )
    assert told(check_application(folder)) == ["RM706 shop/store/api.py:2"]


def test_each_import_against_the_layers_is_told(tmp_path: Path) -> None:
    """Otherwise one that is accepted would hide the next."""
    folder = application(tmp_path, '[check]\nlayers = ["core", "store"]\n', store="from shop.core import api\n")
    write(folder, {"shop/store/more.py": "from shop.core import api\n", "shop/store/most.py": "from shop.store import more\n"})
    assert told(check_application(folder)) == ["RM706 shop/store/api.py:1", "RM706 shop/store/more.py:1"]


def test_modules_of_one_layer_may_not_import_each_other(tmp_path: Path) -> None:
    """`|` says that they stand beside each other."""
    folder = application(tmp_path, '[check]\nlayers = ["web | core", "store"]\n', web="from shop.core import api\n")
    assert told(check_application(folder)) == ["RM706 shop/web/api.py:1"]


def test_a_way_over_other_code_is_found_too(tmp_path: Path) -> None:
    """It is told at its first import, with the way."""
    folder = application(tmp_path, '[check]\nlayers = ["web", "store"]\n', store="from shop import common\n")
    write(folder, {"shop/common.py": "from shop.web import api\n"})
    report = check_application(folder)
    assert told(report) == ["RM706 shop/store/api.py:1"]
    assert "by way of shop.common" in report.new[0].message


def test_a_module_without_a_layer_is_free(tmp_path: Path) -> None:
    """Layers can be declared for some first."""
    folder = application(tmp_path, '[check]\nlayers = ["web", "store"]\n', core="from shop.web import api\n")
    assert told(check_application(folder)) == []


def test_only_public_names_may_be_used(tmp_path: Path) -> None:
    """By import and by attribute."""
    folder = application(
        tmp_path,
        '[check.public]\nstore = ["public"]\n',
        web="from shop.store.api import public, other\n",
        core="from shop.store import api as store\ndef f():\n    store.public()\n    store.other()\n",
    )
    assert told(check_application(folder)) == ["RM707 shop/core/api.py:4", "RM707 shop/web/api.py:1"]


def test_the_declarations_of_the_documentation_are_right() -> None:
    """As shown in boundaries.md."""
    ((_, text, _),) = blocks("concepts/boundaries.md", "toml")
    found = topology.parse(text).boundaries
    assert found.layers == (("web",), ("orders", "mail"), ("stock",))
    assert found.public == {"stock": ("take", "put", "Level")}


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ('layers = ["wep"]', "check.layers: 'wep' is no module of the application", 5),
        ('layers = ["web", "core | web"]', "check.layers: 'web' is in the layers twice", 5),
        ("layers = 1", "check.layers: 1 is not a list of texts", 5),
        ("layer = []", "check.layer: unknown key", 5),
        ("[check.public]\nweb = 'x'", "check.public.web: 'x' is not a list of texts", 6),
        ("[check.public]\nwep = []", "check.public.wep: 'wep' is no module of the application", 6),
        ("public = 1", "check.public: 1 is not a table", 5),
    ],
)
def test_a_mistake_in_the_file_is_an_error_with_its_line(text: str, message: str, line: int) -> None:
    """As everywhere in ramet.toml."""
    with pytest.raises(ConfigError) as caught:
        topology.parse(f"{APP}[check]\n{text}\n")
    assert message in str(caught.value)
    assert caught.value.where == f"ramet.toml:{line}"


# tach.toml

TACH = """
layers = ["web", "store"]

[[modules]]
path = "shop.web"
depends_on = ["shop.core", { path = "shop.store" }]
layer = "web"

[[modules]]
path = "shop.core"
depends_on = []

[[modules]]
path = "shop.store"
layer = "store"

[[interfaces]]
expose = ["services.*", "read"]
from = ["shop.store"]
"""


def tached(folder: Path, **texts: str) -> Path:
    write(folder, {"tach.toml": TACH, "shop/__init__.py": ""})
    for name in ("web", "core", "store"):
        write(folder, {f"shop/{name}/__init__.py": f"read = 1\nwrite = 2\n{texts.get(name, '')}"})
    return write(
        folder, {"shop/store/services.py": "", "shop/store/tables.py": "", "shop/left.py": "from shop.web import read\n"}
    )


def test_a_tach_file_declares_modules_uses_layers_and_interfaces(tmp_path: Path) -> None:
    """What an interface exposes may be an inner file."""
    folder = tached(
        tmp_path,
        web="from shop.core import read as r\nfrom shop.store.services import get\nfrom shop.store import read, write\nfrom shop.store.tables import t\n",
        core="from shop.store import read\n",
        store="from shop.web import read\n",
    )
    report = check_package("shop", folder)
    assert [each for each in told(report) if "RM702" not in each] == [
        "RM103 shop/core/__init__.py:3",
        "RM706 shop/store/__init__.py:3",
        "RM707 shop/web/__init__.py:5",
        "RM701 shop/web/__init__.py:6",
    ]
    undeclared = next(each for each in report.new if each.code == "RM103")
    assert undeclared.change == "add it to depends_on at tach.toml:10"


def test_an_application_may_have_its_layers_and_interfaces_in_a_tach_file(tmp_path: Path) -> None:
    """Its `uses` are those that its modules declare, and names of ramet.toml go before those of an interface."""
    folder = application(tmp_path, web="from shop.store.api import public, other\n", store="from shop.web import api\n")
    write(folder, {"tach.toml": TACH.replace('"read"', '"api.other"')})
    report = check_application(folder)
    assert [each for each in told(report) if "RM702" not in each] == ["RM706 shop/store/api.py:1", "RM707 shop/web/api.py:1"]
    (folder / "ramet.toml").write_text(f'{APP}[check.public]\nstore = ["public", "other"]\n')
    assert [each for each in told(check_application(folder)) if "RM702" not in each] == ["RM706 shop/store/api.py:1"]


def test_a_dependency_that_nothing_needs_is_told_where_tach_declares_it(tmp_path: Path) -> None:
    """tach calls it `exact`."""
    report = check_package("shop", tached(tmp_path))
    assert told(report) == ["RM703 tach.toml:5", "RM703 tach.toml:5"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "modules = 1",
        "[modules]",
        "[[modules]]",
        "[[modules]]\npath = 1",
        "[[modules]]\npath = '<root>'\ndepends_on = 'a'",
        "[[modules]]\npaths = ['shop.web', 1]\ndepends_on = [{}, {path = 1}, 3]\nlayer = 4",
        "layers = 1\n[[interfaces]]\nexpose = ['(']\nfrom = ['(', 1]",
        "layers = [{}, 1, 'a']\n[[interfaces]]\nexpose = [1]\nfrom = 1\n[[modules]]\npath = 'shop.web'",
        "[[modules]]\npath = 'shop.web'\nutility = true\ndepends_on = []\nunchecked = true\nlayer = 'a'",
    ],
)
def test_what_a_tach_file_says_otherwise_is_passed_over(text: str, tmp_path: Path) -> None:
    """It is tach that checks its own file."""
    (tmp_path / "tach.toml").write_text(text)
    assert isinstance(tach.read(tmp_path / "tach.toml"), tach.Tach)


# import-linter

TOML = """
[tool.importlinter]
root_package = "shop"
exclude_type_checking_imports = true

[[tool.importlinter.contracts]]
name = "layers"
type = "layers"
containers = ["shop"]
layers = ["web", "core | (mail)", "store : files"]
ignore_imports = ["shop.store -> shop.web"]

[[tool.importlinter.contracts]]
name = "alone"
type = "independence"
modules = ["shop.core", "shop.store"]

[[tool.importlinter.contracts]]
name = "no web"
type = "forbidden"
source_modules = ["shop.core"]
forbidden_modules = ["shop.web", "requests"]
allow_indirect_imports = true

[[tool.importlinter.contracts]]
name = "other"
type = "protected"
"""
INI = """
[importlinter]
root_package = shop
exclude_type_checking_imports = True

[importlinter:contract:1]
name = layers
type = layers
containers = shop
layers =
    web
    # a comment
    core | (mail)
    store : files
ignore_imports =
    shop.store -> shop.web

[importlinter:contract:2]
name = alone
type = independence
modules =
    shop.core
    shop.store

[importlinter:contract:3]
name = no web
type = forbidden
source_modules = shop.core
forbidden_modules =
    shop.web
    requests
allow_indirect_imports = True

[importlinter:contract:4]
name = other
type = protected
"""


@pytest.mark.parametrize(("name", "text"), [("pyproject.toml", TOML), (".importlinter", INI), ("setup.cfg", INI)])
def test_contracts_of_import_linter_are_read_from_each_of_its_files(name: str, text: str, tmp_path: Path) -> None:
    """The same in all three; a type that says something else is passed over."""
    (tmp_path / name).write_text(text)
    layers, alone, no_web = importlinter.rules_in(tmp_path)
    assert layers == Layers(
        "layers",
        name,
        ignored=("shop.store -> shop.web",),
        with_typing=False,
        with_dynamic=False,
        rows=(Row(("shop.web",)), Row(("shop.core", "shop.mail")), Row(("shop.store", "shop.files"), are_independent=False)),
    )
    assert alone == Forbidden(
        "alone", name, with_typing=False, with_dynamic=False, pairs=(("shop.core", "shop.store"), ("shop.store", "shop.core"))
    )
    assert no_web == Forbidden(
        "no web",
        name,
        with_typing=False,
        with_dynamic=False,
        with_indirect=False,
        pairs=(("shop.core", "shop.web"), ("shop.core", "requests")),
    )


def test_contracts_of_import_linter_are_checked(tmp_path: Path) -> None:
    """Layers, independence by way of other code, a library that is forbidden; not what the contract ignores or is for types."""
    write(
        tmp_path,
        {
            "pyproject.toml": TOML,
            "shop/__init__.py": "",
            "shop/web/__init__.py": "x = 1\n",
            "shop/core/__init__.py": "import requests.sessions\nfrom shop import between\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from shop.web import x\n",
            "shop/store/__init__.py": "from shop.web import x\n",
            "shop/between.py": "from shop.store import x\n",
        },
    )
    report = check_package("shop", tmp_path)
    assert told(report) == ["RM708 shop/core/__init__.py:1", "RM708 shop/core/__init__.py:2"]
    assert "by way of shop.between, against `alone` of pyproject.toml" in report.new[1].message


def test_what_import_linter_says_of_ramet_is_said_here_too() -> None:
    """Its contracts are kept, with layers, wildcards and libraries; a line that breaks one is found."""
    root = Path(tach.__file__).parents[3]
    project = opening.of_package("src/ramet", root, cached=False).project
    assert {type(each) for each in project.import_rules} == {Layers, Forbidden}
    assert list(layers.find(project)) == []
    more = reading.read(b"from ramet.engines import ports\n", "ramet.edge.limits", is_package=False)
    broken = dataclasses.replace(project, facts={**project.facts, "ramet.edge.limits": more})
    assert [each.code for each in layers.find(broken)] == ["RM706"]


@pytest.mark.parametrize(
    ("name", "text"), [("pyproject.toml", "= 1"), (".importlinter", "[a]\n[a]\n"), ("setup.cfg", "x"), ("pyproject.toml", "\xff")]
)
def test_a_damaged_file_is_an_error(name: str, text: str, tmp_path: Path) -> None:
    """Passing over it would hide a contract."""
    (tmp_path / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match="cannot be read"):
        importlinter.rules_in(tmp_path)


VALUES = st.recursive(
    st.sampled_from(['"a"', '"shop.web"', '"a | b : (c)"', '"*"', '"a -> b"', '"**"', '""', "1", "true"]),
    lambda inner: st.lists(inner, max_size=3).map(lambda each: f"[{', '.join(each)}]"),
    max_leaves=4,
)
KEYS = (
    "type",
    "name",
    "layers",
    "containers",
    "modules",
    "source_modules",
    "forbidden_modules",
    "ignore_imports",
    "path",
    "depends_on",
    "expose",
    "from",
    "layer",
)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6), st.sampled_from(["layers", "forbidden", "independence", "x"]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_declarations_are_read_and_checked(tmp_path: Path, values: dict[str, str], kind: str) -> None:
    """Nothing that parses makes the check crash; what does not make sense is the other tool's to say."""
    written = "\n".join(f"{key} = {value}" for key, value in ({"type": f'"{kind}"'} | values).items())
    write(
        tmp_path,
        {
            "pyproject.toml": f"[tool.importlinter]\n[[tool.importlinter.contracts]]\n{written}\n",
            "tach.toml": f"[[modules]]\n{written}\n[[interfaces]]\n{written}\n",
            "shop/__init__.py": "",
            "shop/web/__init__.py": "from shop.core import x\n",
            "shop/core/__init__.py": "from shop.web import x\n",
        },
    )
    try:
        check_package("shop", tmp_path)
    except ConfigError:
        return
