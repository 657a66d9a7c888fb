"""The standard rules for the SQL of a migration, by squawk: a program that is asked, and nothing of it is imported.

Left out are those that Ramet keeps itself: timeouts are set on the session, and dropping has a phase. Source of the rules:
https://squawkhq.com/docs/rules.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ramet.check.migration_rules import Fault
from ramet.errors import ConfigError

LEFT_OUT = (
    "require-lock-timeout",
    "require-statement-timeout",
    *(f"ban-drop-{what}" for what in ("column", "constraint", "function", "not-null", "table", "trigger", "view")),
)
LONGEST_S = 30.0


def faults(statements: Sequence[str], *, is_transaction: bool) -> list[Fault]:
    """is_transaction: whether all of them are one. Raises ConfigError where there is no squawk, or it does not answer."""
    text, lines = _script(statements)
    if not text:
        return []
    program = find()
    with tempfile.TemporaryDirectory(prefix="ramet-") as folder:
        file = Path(folder) / "migration.sql"
        file.write_text(text, encoding="utf-8")
        (Path(folder) / "squawk.toml").write_text("", encoding="utf-8")  # not one that happens to be above us
        command = [program, "--config", f"{folder}/squawk.toml", "--reporter", "json", f"--exclude={','.join(LEFT_OUT)}"]
        command.append("--assume-in-transaction" if is_transaction else "--no-assume-in-transaction")
        try:
            done = subprocess.run(  # noqa: S603  (a program of ours)
                [*command, str(file)], capture_output=True, encoding="utf-8", check=False, cwd=folder, timeout=LONGEST_S
            )
            found: list[dict[str, Any]] = json.loads(done.stdout or "[]")
        except (OSError, subprocess.TimeoutExpired, json.JSONDecodeError) as error:
            raise ConfigError(f"squawk did not answer: {error}", where=program, hint="pip install 'ramet[check]'") from error
    return [
        Fault(
            each["rule_name"],
            " ".join(statements[lines[min(int(each["line"]), len(lines) - 1)]].split()),
            _lower(each["message"]),
            _lower(each["help"] or f"https://squawkhq.com/docs/{each['rule_name']}"),
        )
        for each in found
    ]


def find() -> str:
    """Beside this Python, else on the PATH. Raises ConfigError."""
    found = shutil.which("squawk", path=str(Path(sys.executable).parent)) or shutil.which("squawk")
    if found is None:
        raise ConfigError("squawk is not installed, which has the standard rules", hint="pip install 'ramet[check]'")
    return found


def _script(statements: Sequence[str]) -> tuple[str, list[int]]:
    """One text, and for each of its lines the number of the statement that it is of."""
    text, lines = "", list[int]()
    for number, statement in enumerate(statements):
        lines += [number] * (statement.count("\n") + 1)
        text += f"{statement.rstrip(';')};\n"
    return text, lines


def _lower(sentence: str) -> str:
    """As a part of one of ours."""
    sentence = sentence.strip().rstrip(".")
    return sentence[:1].lower() + sentence[1:] if sentence[1:2].islower() else sentence
