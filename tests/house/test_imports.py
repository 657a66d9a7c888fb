"""The house's rules on imports: each contract of pyproject.toml is broken once, to see that it holds anything up."""

import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT = Path(sys.executable).parent / "lint-imports"
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]

BREAKS: dict[str, list[tuple[str, str]]] = {
    "layers": [
        ("edge/limits.py", "from ramet.engines import ports"),
        ("newcomer/__init__.py", '"""A part that no row of the layers names."""'),
    ],
    "pure": [("wire/frames.py", "import socket"), ("model/routing.py", "import subprocess")],
    "light-import": [("settings.py", "import click"), ("errors.py", "import pydantic")],
    "door-msgspec": [("kit/near.py", "import msgspec"), ("observe/names.py", "from msgspec import Struct")],
    "door-cryptography": [("engines/ports.py", "from cryptography import x509")],
    "door-servers": [("engines/ports.py", "import uvicorn"), ("observe/openmetrics.py", "import starlette")],
    "door-database": [("edge/limits.py", "import asyncpg")],
    "door-check": [
        ("cli/check.py", "import grimp"),
        ("data/statements.py", "import sqlglot"),
        ("advise/slow.py", "import sqlglot"),
    ],
    "acyclic": [("kit/near.py", "from ramet.kit import durations"), ("wire/frames.py", "from ramet.wire import calls")],
}
"""Contract -> files and a line for each that breaks it, and no other contract than those that were broken anyway."""
COMPLETED = {("kit/near.py", "from ramet.kit import durations"): ("kit/durations.py", "from ramet.kit import near")}
"""A cycle of which both halves are missing."""

CASES = [(contract, file, line) for contract, lines in BREAKS.items() for file, line in lines]


def add(source: Path, file: str, line: str) -> None:
    """Behind the docstring, where an import stands."""
    path = source / "ramet" / file
    path.parent.mkdir(exist_ok=True)
    text = path.read_text() if path.exists() else ""
    path.write_text(f"{text}\n{line}\n")


def copy(folder: Path) -> Path:
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder / "src"


def lint(folder: Path) -> tuple[set[str], str]:
    """(ids of the broken contracts, the report)"""
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "NO_COLOR": "1", "COLUMNS": "200"}
    done = subprocess.run([LINT, "--no-cache"], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    verdicts = {name: verdict for name, verdict in re.findall(r"^(.+) (KEPT|BROKEN)\b", done.stdout, re.MULTILINE)}
    names = {contract["name"]: contract["id"] for contract in CONTRACTS}
    assert verdicts.keys() == names.keys(), done.stdout + done.stderr
    return {names[name] for name, verdict in verdicts.items() if verdict == "BROKEN"}, done.stdout


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str] | None, set[str]]:
    """What is broken without a change (None) and with each line added; all runs side by side."""

    root = tmp_path_factory.mktemp("house")  # not in the threads: the first call of a worker empties the base folder

    def run(case: tuple[str, str] | None) -> set[str]:
        folder = Path(tempfile.mkdtemp(dir=root))
        source = copy(folder)
        for each in (case, COMPLETED.get(case) if case else None):
            if each:
                add(source, *each)
        return lint(folder)[0]

    cases: list[tuple[str, str] | None] = [None, *((file, line) for _, file, line in CASES)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(cases, pool.map(run, cases), strict=True))


def test_every_contract_has_a_line_that_breaks_it() -> None:
    """A contract that nothing can break is decoration."""
    assert BREAKS.keys() == {contract["id"] for contract in CONTRACTS}


@pytest.mark.parametrize(
    ("contract", "file", "line"), CASES, ids=[f"{contract}: {file}: {line}" for contract, file, line in CASES]
)
def test_a_forbidden_import_breaks_its_contract_and_no_other(broken, contract: str, file: str, line: str) -> None:
    """One line of code, found by name."""
    found = broken[file, line]
    assert contract in found
    assert found - broken[None] <= {contract}


# What `import ramet` loads

HEAVY = [
    "asyncio",
    "uvloop",
    "uvicorn",
    "starlette",
    "cryptography",
    "click",
    "pydantic",
    "asyncpg",
    "psycopg",
    "socket",
    "ssl",
    "http",
    "http.client",
]


def loaded(statement: str) -> set[str]:
    script = f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))"
    return set(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split())


def test_import_ramet_loads_no_event_loop_no_server_and_no_driver() -> None:
    """A module's author pays for words, not for machines. A fresh interpreter, since this one has loaded them all."""
    assert loaded("import ramet").isdisjoint(HEAVY)


def test_a_module_can_be_declared_without_loading_them() -> None:
    """The machines come with the first call."""
    declare = "import ramet\nm = ramet.Module('shop')\n@m.expose\nasync def add(a: int, b: list[int]) -> int: ...\nassert m.calls"
    assert loaded(declare).isdisjoint(HEAVY)
