"""The module map as a picture: an SVG file that needs nothing else, dark on light, as wide as a page.

A box is a module with its face, an arrow leads to a module that it uses, a frame is a service. Arrows are drawn first and texts
stand on opaque ground, so no line crosses a text. Letters of one width make it known how much of a line fits into a box.
"""

import re
import textwrap
from collections.abc import Iterator, Sequence
from html import escape

from ramet.deliver.faces import ModuleFace, services_of
from ramet.deliver.map_layout import BOX, FRAME, LABEL, WIDTH, Layout, Rectangle, arrange

NAME_HEIGHT, LINE_HEIGHT, PADDING = 30, 16, 10
LETTER = 7.25
"""Width of a letter at 12 px, in the widest of the fonts below."""
INDENT = 8
FITS = int((BOX - 2 * PADDING - INDENT) / LETTER)
"""Letters of a line."""
MOST = 24
"""Lines of one kind in a box; the Markdown has all."""
ROUND = 6
"""Radius of an arrow's corners."""

_STYLE = """\
text { font: 12px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #1c2430; }
.name { font-size: 15px; font-weight: bold; }
.kind, .service { fill: #4b5868; }
.box { fill: #ffffff; stroke: #40536b; }
.head { fill: #e4ecf5; }
.frame { fill: #f3f6fa; stroke: #a3b1c2; stroke-dasharray: 4 3; }
.label { fill: #f3f6fa; }
.arrow { fill: none; stroke: #5a6b80; stroke-width: 1.4; }
.tip { fill: #5a6b80; }"""


def svg(faces: Sequence[ModuleFace], *, app: str, topology: str | None) -> str:
    """Services are framed where the faces name them."""
    lines = {face.name: list(_lines(face)) for face in faces}
    services = {name: [face.name for face in hosted] for name, hosted in services_of(faces).items()}
    layout = arrange(
        {name: NAME_HEIGHT + LINE_HEIGHT * len(written) + PADDING for name, written in lines.items()},
        {face.name: face.uses for face in faces},
        services or None,
    )
    return "\n".join(_elements(faces, lines, layout, f"Modules of {app}{f' as {topology}' if topology else ''}")) + "\n"


def _elements(faces: Sequence[ModuleFace], lines: dict[str, list[tuple[str, str]]], layout: Layout, title: str) -> Iterator[str]:
    size = f'viewBox="0 0 {WIDTH} {layout.height}" width="{WIDTH}" height="{layout.height}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    yield f"<title>{escape(title)}</title>"
    yield f"<style>\n{_STYLE}\n</style>"
    yield '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto">'
    yield '<path class="tip" d="M0 0L10 5L0 10z"/></marker></defs>'
    yield f'<rect width="{WIDTH}" height="{layout.height}" fill="#ffffff"/>'
    for frame in layout.frames.values():
        yield _rectangle(frame, "frame")
    for (user, used), corners in layout.routes.items():
        yield f'<path class="arrow" marker-end="url(#tip)" d="{_path(corners)}"><title>{user} uses {used}</title></path>'
    for service, frame in layout.frames.items():
        yield from _label(service, frame)
    for face in faces:
        yield from _box(face, lines[face.name], layout.boxes[face.name])
    yield "</svg>"


def _lines(face: ModuleFace) -> Iterator[tuple[str, str]]:
    """(class, text) of each line below the name."""
    endpoints = [*(f"{each.method} {each.path}" for each in face.endpoints), *(f"mounted {prefix}" for prefix in face.mounts)]
    data = [] if face.data is None else [f"schema {face.data.schema}{f', by {face.data.key}' if face.data.key else ''}"]
    for kind, written in {
        "calls": textwrap.wrap(", ".join(each.name for each in face.calls), FITS),
        "endpoints": [line for each in endpoints for line in _wrapped_path(each)],
        "failures": textwrap.wrap(", ".join(f"{each.status}\N{NO-BREAK SPACE}{each.name}" for each in face.failures), FITS),
        "data": data,
    }.items():
        if written:
            yield "kind", kind
            shown = written if len(written) <= MOST else [*written[: MOST - 1], f"and {len(written) - MOST + 1} lines more"]
            yield from (("item", text) for text in shown)


def _wrapped_path(endpoint: str) -> Iterator[str]:
    """In lines that fit, broken before a slash."""
    line = ""
    for part in re.findall(r"/?[^/]*", endpoint):
        if line and len(line) + len(part) > FITS:
            yield line
            line = "  "
        line += part
    yield line


def _box(face: ModuleFace, lines: Sequence[tuple[str, str]], box: Rectangle) -> Iterator[str]:
    head = Rectangle(box.x, box.y, box.width, NAME_HEIGHT)
    x = box.x + PADDING
    yield f'<a href="#{escape(face.name)}"><title>{escape(face.says or face.name)}</title>'
    yield _rectangle(box, "box")
    yield _rectangle(head, "box head")
    yield _text(x, box.y + 20, "name", _fitting(face.name, int(FITS * 12 / 15)))
    for number, (kind, written) in enumerate(lines, 1):
        y = box.y + NAME_HEIGHT + number * LINE_HEIGHT
        yield _text(x + (INDENT if kind == "item" else 0), y, kind, _fitting(written, FITS))
    yield "</a>"


def _label(service: str, frame: Rectangle) -> Iterator[str]:
    written = _fitting(f"service {service}", int((frame.width - 2 * PADDING) / LETTER))
    yield _rectangle(Rectangle(frame.x + FRAME, frame.y + 4, int(len(written) * LETTER) + 4, LABEL - 4), "label")
    yield _text(frame.x + FRAME + 2, frame.y + 19, "service", written)


def _rectangle(of: Rectangle, kind: str) -> str:
    return f'<rect class="{kind}" x="{of.x}" y="{of.y}" width="{of.width}" height="{of.height}" rx="4"/>'


def _text(x: int, y: int, kind: str, written: str) -> str:
    return f'<text class="{kind}" x="{x}" y="{y}" xml:space="preserve">{escape(written)}</text>'


def _fitting(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"


def _path(corners: Sequence[tuple[int, int]]) -> str:
    """Straight lines with rounded corners."""
    drawn = [f"M{corners[0][0]} {corners[0][1]}"]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        radius = min(ROUND, _distance(before, corner) // 2, _distance(corner, after) // 2)
        begin, end = _towards(corner, before, radius), _towards(corner, after, radius)
        drawn.append(f"L{begin[0]} {begin[1]}Q{corner[0]} {corner[1]} {end[0]} {end[1]}")
    return "".join([*drawn, f"L{corners[-1][0]} {corners[-1][1]}"])


def _distance(one: tuple[int, int], other: tuple[int, int]) -> int:
    return abs(one[0] - other[0]) + abs(one[1] - other[1])


def _towards(point: tuple[int, int], other: tuple[int, int], steps: int) -> tuple[int, int]:
    """`steps` px from a point in the direction of another on the same line."""
    x, y = (((b > a) - (b < a)) * steps for a, b in zip(point, other, strict=True))
    return point[0] + x, point[1] + y
