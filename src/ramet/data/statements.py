"""What a statement's text tells: its summary for metrics, and what it would leave behind in the session. Pure.

Both are found by looking at words, not by parsing, once per text. The summary may be coarse, and never holds a value. What is
left behind is guessed on the safe side: a doubtful text costs one reset of the session, not a wrong result. What a function does
inside (`SELECT my_function()` that calls set_config) cannot be seen from here.
"""

import enum
import re
from typing import NamedTuple

MAX_TABLES = 3
"""Tables named in a summary; a statement over more is told apart well enough."""


class Leaves(enum.IntFlag):
    """What stays in the session when the statement is over."""

    NOTHING = 0
    SESSION = 1
    """A setting, a lock, a cursor, a temporary table, a LISTEN: undone by a reset."""
    CONNECTION = 2
    """Something that only a new connection is free of: a server-side PREPARE, a loaded library."""


class Facts(NamedTuple):
    summary: str
    """Such as `SELECT articles`: of few different values, so fit for a label."""
    leaves: Leaves
    controls: str
    """The word of a statement that begins or ends a transaction, else empty."""


_NOISE = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\$(\w*)\$.*?\$\1\$", re.DOTALL)
_WORDS = re.compile(r'"(?:[^"]|"")+"|[\w$]+|[().,;]')
_SESSION = re.compile(
    r"(?:^|;)\s*(?:set\s+(?!local\b|transaction\b|constraints\b)|listen\b|do\b|call\b)"
    r"|\bset_config\s*\((?![^()]*,\s*true\s*\))|\bpg_(?:try_)?advisory_lock|\bwith\s+hold\b|\bpg_temp\b"
    r"|\bcreate\s+(?:or\s+replace\s+)?(?:local\s+|global\s+)?(?:temp|temporary)\b|\binto\s+(?:temp|temporary)\b",
    re.IGNORECASE,
)
_CONNECTION = re.compile(r"(?:^|;)\s*(?:prepare\s+(?!transaction\b)|load\b|discard\b|deallocate\b)", re.IGNORECASE)
_VERBS = frozenset({"select", "insert", "update", "delete", "merge", "values"})
_CONTROLS = frozenset({"begin", "start", "commit", "end", "rollback", "abort"})
_BEFORE_TABLE = frozenset({"from", "join", "into", "update", "table", "using"})
_NOT_TABLES = frozenset(
    {
        "select",
        "only",
        "lateral",
        "set",
        "unnest",
        "if",
        "not",
        "exists",
        "values",
        "generate_series",
        "as",
        "nowait",
        "skip",
        "of",
    }
)


def facts_of(text: str) -> Facts:
    bare = _NOISE.sub(" ", text)
    words = [word.lower() for word in _WORDS.findall(bare)]
    first = words[0] if words else ""
    is_control = first in _CONTROLS and not (first == "rollback" and "to" in words[1:3]) and "prepared" not in words[1:2]
    return Facts(_summary(words), _leaves(bare), first.upper() if is_control else "")


def is_script(text: str) -> bool:
    """Whether it may be more than one statement, which the server takes only without parameters. Errs towards yes."""
    return ";" in text.rstrip().rstrip(";")


def _leaves(bare: str) -> Leaves:
    if _CONNECTION.search(bare):
        return Leaves.CONNECTION
    return Leaves.SESSION if _SESSION.search(bare) else Leaves.NOTHING


def _summary(words: list[str]) -> str:
    if not words:
        return "EMPTY"
    verb = _main_verb(words)
    tables: list[str] = []
    made = {
        words[index - 1] for index, word in enumerate(words) if word == "as" and index and words[index + 1 : index + 2] == ["("]
    }
    for index, word in enumerate(words[:-1]):
        if word not in _BEFORE_TABLE:
            continue
        table = _name(words, index + 1)
        if table and table not in tables and table not in made:
            tables.append(table)
    shown = tables[:MAX_TABLES] + (["..."] if len(tables) > MAX_TABLES else [])
    return " ".join([verb.upper(), *shown])


def _main_verb(words: list[str]) -> str:
    """The verb of a statement that begins with WITH is the first one outside of all parentheses."""
    if words[0] != "with":
        return words[0] if words[0] not in "().,;" else "select"
    depth = 0
    for word in words:
        depth += (word == "(") - (word == ")")
        if depth == 0 and word in _VERBS:
            return word
    return "with"


def _name(words: list[str], index: int) -> str:
    """The table that is named from `index` on, without its schema; empty for a subquery or a function."""
    while index < len(words) and words[index] in _NOT_TABLES:
        index += 1
    if index >= len(words) or words[index] in "().,;":
        return ""
    while words[index + 1 : index + 2] == ["."] and index + 2 < len(words):
        index += 2
    return words[index].strip('"')
