"""What the facts of `ramet doctor` mean: for each thing whether it is as it must be, and the command that mends it. Pure."""

import enum
from collections.abc import Iterator
from dataclasses import dataclass

from ramet.operate import extras
from ramet.operate.facts import Facts, Port, Problem

MIB = 1024 * 1024
LEAST_MEMORY = 256 * MIB
"""An instance takes some 45 MB, PostgreSQL 60, Envoy 40; twice that for what they do."""
LEAST_DISK = 512 * MIB
"""A new database takes 40 MB, its log up to 256."""
LEAST_SHARED_MEMORY = 32 * MIB
"""For PostgreSQL's parallel queries. Docker gives 64 MB unless it is told otherwise."""
LEAST_OPEN_FILES = 1024
"""The usual limit: each request, call and connection of an instance is one."""
TESTED = ((3, 11), (3, 13))
"""First and last Python on which the whole suite passes."""

PURPOSES = {
    "serve": "`ramet dev` and `ramet up`",
    "postgres": "`ramet up`, `ramet call` and databases",
    "envoy": "`ramet up`",
    "tls": "`ramet certs`",
    "progress": "the live display of `ramet apply`",
    "docs": "the page of `ramet docs`",
    "pydantic": "pydantic models as parameters and results",
}
NEEDED = (extras.CORE, "serve", "postgres", "envoy")
"""Without which an application does not run. The other extras are for who uses them, and half of one is never right."""


class Status(enum.StrEnum):
    OK = "ok"
    WARN = "warn"
    """It works, and may not for long."""
    MISSING = "missing"
    """Something does not work until it is mended."""


@dataclass(frozen=True, slots=True)
class Finding:
    """mend: the command that mends it, or what would change it; empty where nothing need be done."""

    subject: str
    status: Status
    found: str
    mend: str = ""


def diagnose(facts: Facts) -> list[Finding]:
    return [
        _python(facts),
        _system(facts),
        *_extras(facts),
        *_application(facts),
        *_engines(facts),
        *(_port(port) for port in facts.ports),
        *_machine(facts),
        _leftovers(facts),
    ]


def _python(facts: Facts) -> Finding:
    first, last = TESTED
    if facts.python < first:
        mend = f"python{first[0]}.{first[1]} -m venv .venv"
        return Finding("python", Status.MISSING, f"{facts.python_text}, older than {first[0]}.{first[1]}", mend)
    if facts.python > last:
        mend = f"python{last[0]}.{last[1]} -m venv .venv"
        return Finding("python", Status.WARN, f"{facts.python_text}, on which Ramet was never tested", mend)
    return Finding("python", Status.OK, facts.python_text)


def _system(facts: Facts) -> Finding:
    found = f"Ramet {facts.ramet} on {facts.system}"
    if facts.system == "Linux":
        return Finding("ramet", Status.OK, found)
    is_known = facts.system == "Darwin"
    told = f"{found}, which is not tested" if is_known else f"{found}, where it does not run"
    return Finding("ramet", Status.WARN if is_known else Status.MISSING, told, "run it on Linux, or in a container")


def _extras(facts: Facts) -> Iterator[Finding]:
    for extra in dict.fromkeys(requirement.extra for requirement, _ in facts.requirements):
        there: list[str] = []
        wrong: list[str] = []
        for requirement, version in facts.requirements:
            if requirement.extra != extra:
                continue
            if version is None:
                wrong.append(f"{requirement.name} is not installed")
            elif not extras.fits(version, requirement.versions):
                wrong.append(f"{requirement.name} {version} does not fit {requirement.versions}")
            else:
                there.append(f"{requirement.name} {version}")
        subject = f"extra {extra}" if extra else "core"
        if not wrong:
            yield Finding(subject, Status.OK, ", ".join(there))
            continue
        purpose = f"; for {PURPOSES[extra]}" if extra in PURPOSES else ""
        status = Status.MISSING if extra in NEEDED or there else Status.OK
        yield Finding(subject, status, f"{', '.join(wrong)}{purpose}", extras.command(extra))


def _application(facts: Facts) -> Iterator[Finding]:
    match facts.application:
        case None:
            yield Finding("application", Status.WARN, "no ramet.toml here or above", "run it in the folder of an application")
            return
        case Problem() as problem:
            yield _problem("application", problem)
            return
        case path:
            yield Finding("application", Status.OK, path)
    if isinstance(facts.modules, Problem):
        yield _problem("modules", facts.modules)
    else:
        yield Finding("modules", Status.OK, f"{', '.join(facts.modules)} can be imported")


def _engines(facts: Facts) -> Iterator[Finding]:
    is_needed = facts.has_database is not False
    for subject, outcome, needed in (
        ("account", facts.account, is_needed),
        ("postgres", facts.postgres, is_needed),
        ("envoy", facts.envoy, True),
    ):
        if not isinstance(outcome, Problem):
            yield Finding(subject, Status.OK, f"PostgreSQL runs {outcome}" if subject == "account" else outcome)
        elif needed:
            yield _problem(subject, outcome)
        else:
            yield Finding(subject, Status.OK, f"{outcome.message}; no module has a database", outcome.hint)


def _problem(subject: str, problem: Problem) -> Finding:
    at = f" ({problem.where})" if problem.where else ""
    return Finding(subject, Status.MISSING, f"{problem.message}{at}", problem.hint or f"correct {problem.where or 'it'}")


def _port(port: Port) -> Finding:
    subject = f"port {port.number}"
    look = f"ss -ltnp 'sport = :{port.number}'"
    if port.fleet:
        if port.is_free:
            return Finding(subject, Status.WARN, f"{port.what} of the running fleet does not listen", "ramet status")
        return Finding(subject, Status.OK, f"{port.what} of the running fleet")
    if port.is_free:
        return Finding(subject, Status.OK, f"{port.what}, and free")
    return Finding(subject, Status.MISSING if port.asked else Status.WARN, f"{port.what}, and another program has it", look)


def _machine(facts: Facts) -> Iterator[Finding]:
    yield _amount("memory", facts.memory_free_bytes, LEAST_MEMORY, "free", "stop something, or give the container more")
    yield _amount("disk", facts.disk_free_bytes, LEAST_DISK, "free", "df -h .")
    mend = "docker run --shm-size=256m ..., or mount a tmpfs at /dev/shm"
    yield _amount("shared memory", facts.shared_memory_bytes, LEAST_SHARED_MEMORY, "in /dev/shm", mend)
    files = f"{facts.open_files} open files a process"
    if facts.open_files < LEAST_OPEN_FILES:
        yield Finding("open files", Status.WARN, f"at most {files}", f"ulimit -n {4 * LEAST_OPEN_FILES}")
    else:
        yield Finding("open files", Status.OK, files)
    if facts.clock_behind_s > 0:
        told = f"{facts.clock_behind_s:.0f} s before Ramet itself was installed; certificates and deadlines go by it"
        yield Finding("clock", Status.WARN, told, "timedatectl set-ntp true")
    else:
        yield Finding("clock", Status.OK, "not before Ramet itself was installed")


def _amount(subject: str, here: int | None, least: int, what: str, mend: str) -> Finding:
    if here is None:
        is_warning = subject == "shared memory"
        return Finding(
            subject, Status.WARN if is_warning else Status.OK, "there is none, or it cannot be seen", mend * is_warning
        )
    if here < least:
        return Finding(subject, Status.WARN, f"{here // MIB} MB {what}, {least // MIB} is the least", mend)
    return Finding(subject, Status.OK, f"{here // MIB} MB {what}")


def _leftovers(facts: Facts) -> Finding:
    if not facts.leftovers:
        return Finding("leftovers", Status.OK, "no process without its supervisor")
    return Finding("leftovers", Status.WARN, f"nobody watches {'; '.join(facts.leftovers)}", "ramet down")
