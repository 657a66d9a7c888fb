"""`# ramet: allow RM705 because the keys never change`: one finding, on this line or the next, that is as it should be."""

import io
import re
import tokenize
from collections.abc import Iterator

from ramet.check.facts import Waiver

# A rule in small letters is one of migrations (`migration_lint`).
_WAIVER = re.compile(r"#\s*ramet:\s*allow\b(?!\s+[a-z]+-)(?P<codes>[\sA-Z0-9,]*)(?:\bbecause\b(?P<reason>.*))?", re.DOTALL)
_CODE = re.compile(r"RM\d{3}")


def waivers(source: bytes) -> Iterator[Waiver]:
    """Those of a file that is Python. A comment on a line of its own speaks of the next line of code."""
    if b"ramet:" not in source:
        return
    waiting: list[tuple[tuple[str, ...], str]] = []
    for token in tokenize.tokenize(io.BytesIO(source).readline):
        if token.type == tokenize.COMMENT and (found := _WAIVER.match(token.string)):
            said = tuple(_CODE.findall(found["codes"])), (found["reason"] or "").strip()
            if token.line[: token.start[1]].strip():
                yield Waiver(token.start[0], *said)
            else:
                waiting.append(said)
        elif waiting and token.type not in {tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT}:
            yield from (Waiver(token.start[0], *said) for said in waiting)
            waiting.clear()
