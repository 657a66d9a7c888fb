"""Which texts are the same query: a short hash of a statement without what differs from run to run. Pure.

Left out are literals, parameters, comments, white space, the case of unquoted words, how many items an IN list, an ARRAY or an
INSERT's VALUES have. What is left is read as tokens, not as a tree, so nothing is refused: a text that is no SQL has a
fingerprint too. The text of pg_stat_statements gives the same one, since its `$1` in place of a literal counts as a parameter.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

DIGITS = 10
"""Of a fingerprint, hexadecimal. 40 bits: among 2,000 queries two are the same once in half a million applications."""
MAX_SHOWN = 2000
"""Characters of a shown text. Longer ones are data more than statement."""

_VALUE = "?"
_TOKEN = re.compile(
    r"""
    (?P<gap>\s+|--[^\n]*)
  | (?P<comment>/\*)
  | (?P<value>
        [eE]'(?:[^'\\]|\\.|'')*(?:'|\Z)
      | (?:[bBxXnN]|[uU]&)?'(?:[^']|'')*(?:'|\Z)
      | (?P<tag>\$(?:[^\W\d]\w*)?\$).*?(?:(?P=tag)|\Z)
      | 0[xX][0-9a-fA-F_]+ | 0[oO][0-7_]+ | 0[bB][01_]+
      | (?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?
    )
  | (?P<parameter>\$\d+)
  | (?P<quoted>(?:[uU]&)?"(?:[^"]|"")*(?:"|\Z))
  | (?P<word>[^\W\d][\w$]*)
  | (?P<sign>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_MARK = re.compile(r"/\*|\*/")
_BEFORE_A_SIGN = frozenset("=<>(,[!~*/%^|&")
_IN_A_LIST = frozenset({_VALUE, ",", "null", "true", "false", "default"})


class Token(NamedTuple):
    """normal: how it counts for the fingerprint. spaced: whether something stood between it and the one before."""

    text: str
    normal: str
    kind: str
    spaced: bool


def fingerprint(text: str) -> str:
    """Ten hexadecimal digits, the same in every process and release."""
    return hashlib.blake2b(normalised(text).encode(errors="surrogatepass"), digest_size=DIGITS // 2).hexdigest()


def normalised(text: str) -> str:
    """What is hashed: tokens with one space between them."""
    tokens: list[str] = []
    for token in tokens_of(text):
        if token.normal == _VALUE and _is_signed(tokens):
            tokens.pop()
        tokens.append(token.normal)
    while tokens and tokens[-1] == ";":
        tokens.pop()
    return " ".join(_shortened(tokens))


def shown(text: str) -> str:
    """For a person: on one line, without comments, with `?` in place of literals. Has the same fingerprint."""
    parts: list[str] = []
    for token in tokens_of(text):
        parts.append((" " if token.spaced and parts else "") + (_VALUE if token.kind == "value" else token.text))
    whole = "".join(parts)
    return whole if len(whole) <= MAX_SHOWN else whole[: MAX_SHOWN - 4] + " ..."


def tokens_of(text: str) -> Iterator[Token]:
    at, spaced = 0, False
    while found := _TOKEN.match(text, at):
        kind = found.lastgroup or "sign"
        at = found.end()
        if kind == "comment":
            at = _end_of_comment(text, at)
        if kind in {"gap", "comment"}:
            spaced = True
            continue
        word = found[0]
        if kind == "tag":
            kind = "value"
        normal = _VALUE if kind in {"value", "parameter"} else word.lower() if kind == "word" else word
        yield Token(word, normal, kind, spaced)
        spaced = False


def _is_signed(before: Sequence[str]) -> bool:
    """Whether a literal behind these has a sign of its own: `= -1`, and not `a - 1`."""
    return len(before) > 1 and before[-1] in {"-", "+"} and before[-2] in _BEFORE_A_SIGN


def _end_of_comment(text: str, at: int) -> int:
    """PostgreSQL's comments nest. One that is never closed goes to the end."""
    depth = 1
    for mark in _COMMENT_MARK.finditer(text, at):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(text)


def _shortened(tokens: Sequence[str]) -> Iterator[str]:
    """With lists of one item where the number of items is the run's."""
    at = 0
    while at < len(tokens):
        word = tokens[at]
        yield word
        at += 1
        if (word, *tokens[at : at + 1]) in {("in", "("), ("array", "[")}:
            end = _end_of_group(tokens, at)
            inner = tokens[at + 1 : end - 1]
            if inner and _VALUE in inner and _IN_A_LIST.issuperset(inner):
                yield from (tokens[at], _VALUE, tokens[end - 1])
                at = end
        elif (word, *tokens[at : at + 1]) == ("values", "("):
            end = _end_of_group(tokens, at)
            row = tokens[at:end]
            yield from row
            at = end
            while tokens[at : at + 1 + len(row)] == [",", *row]:
                at += 1 + len(row)


def _end_of_group(tokens: Sequence[str], at: int) -> int:
    """Behind the parenthesis or bracket that closes the one at `at`; the end of all where nothing closes it."""
    depth = 0
    for index in range(at, len(tokens)):
        if tokens[index] in {"(", "["}:
            depth += 1
        elif tokens[index] in {")", "]"}:
            depth -= 1
            if depth == 0:
                return index + 1
    return len(tokens)
