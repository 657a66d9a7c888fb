"""What Ramet requires, read from its metadata."""

import tomllib
from pathlib import Path

import pytest

from ramet.operate import extras
from ramet.operate.extras import Requirement, fits, parse

ROOT = Path(__file__).parents[2]

LINES = [
    pytest.param("click>=8.2", Requirement("click", ">=8.2"), id="the core's"),
    pytest.param("uvicorn<0.55,>=0.54; extra == 'serve'", Requirement("uvicorn", "<0.55,>=0.54", "serve"), id="a range"),
    pytest.param(
        "uvloop>=0.21; (platform_system != 'Windows') and extra == 'serve'",
        Requirement("uvloop", ">=0.21", "serve"),
        id="a marker",
    ),
    pytest.param(
        "sqlalchemy[asyncio]>=2.0.36; extra == 'postgres'", Requirement("sqlalchemy", ">=2.0.36", "postgres"), id="extras"
    ),
    pytest.param("uvloop>=0.21; platform_system != 'Windows'", Requirement("uvloop", ">=0.21"), id="a marker without an extra"),
    pytest.param("python-multipart", Requirement("python-multipart", ""), id="any version"),
    pytest.param("a (>=1) ; extra == 'x-y'", Requirement("a", "(>=1)", "x-y"), id="as older tools write it"),
]


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_a_line_of_the_metadata_is_read(line: str, expected: Requirement) -> None:
    """As hatchling writes it, and others."""
    assert parse([line]) == [expected]


def test_the_extra_that_sums_up_the_others_is_left_out() -> None:
    """All of it is said already."""
    assert parse(["a>=1; extra == 'all'", "a>=1; extra == 'serve'"]) == [Requirement("a", ">=1", "serve")]


FIT = [
    ("0.54.0", ">=0.54,<0.55", True),
    ("0.55", ">=0.54,<0.55", False),
    ("0.54", ">=0.54.0", True),
    ("1.0rc1", ">=1.0", True),
    ("2.0.36", ">=2.0.36", True),
    ("2.0.4", ">=2.0.36", False),
    ("18.6.3", "<19,>=18.6", True),
    ("19", "<19,>=18.6", False),
    ("3", "", True),
    ("1.2", "==1.2.0", True),
    ("1.2", "!=1.2", False),
    ("1.3", "<=1.2", False),
    ("1.3", ">1.2", True),
]


@pytest.mark.parametrize(("version", "versions", "expected"), FIT)
def test_versions_are_compared_as_numbers(version: str, versions: str, expected: bool) -> None:
    """And not as texts, by which 0.9 would be more than 0.10."""
    assert fits(version, versions) is expected


def test_our_own_requirements_are_those_of_pyproject() -> None:
    """Every distribution of every extra, under its extra: this is what `pip install 'ramet[...]'` is decided by."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    written = {(each.name, "") for each in parse(project["dependencies"])}
    for extra, lines in project["optional-dependencies"].items():
        written |= {(each.name, extra) for each in parse(lines) if extra != "all"}
    assert {(each.name, each.extra) for each in extras.requirements()} == written


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("asyncpg", "postgres"),
        ("sqlalchemy.ext.asyncio", "postgres"),
        ("python_multipart", "serve"),
        ("multipart", "serve"),
        ("cryptography.x509", "tls"),
        ("click", None),
        ("numpy", None),
        (None, None),
    ],
)
def test_an_import_is_led_back_to_the_extra_that_brings_it(module: str | None, extra: str | None) -> None:
    """For the hint of a verb that lacks it."""
    assert extras.extra_of(module) == extra
