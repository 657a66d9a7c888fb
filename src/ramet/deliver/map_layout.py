"""Where the boxes and arrows of the module map are, in pixels. Deterministic, and for any graph of modules, circles included.

    1. Levels. A module stands below those that use it. A circle is entered at the module that the fewest others use.
    2. Rows. A level fills rows of at most COLUMNS boxes, each box near those that use it. With services, each is a block that its
       modules fill in the order of their levels; blocks stand beside each other where they fit, in the levels of the services.
    3. Ports. Arrows leave at the bottom of a box and arrive at the top of another, each at an x of its own.
    4. Routes. An arrow takes the channel below its row; a gap between two boxes of each row that it passes; the channel above
       the row of its end. In each channel it has a lane of its own, and in each gap.

No two arrows run along one line while there is room: starts are at multiples of 16 px, ends 8 px beside, and gaps are passed 4 px
beside either. That is why boxes, gaps and margins are multiples of 16 wide.

The libraries for this are a program that must be installed (Graphviz) or not kept any more (grandalf), and know no services.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

COLUMNS = 3
BOX = 272
GAP = 48
MARGIN = 48
WIDTH = 2 * MARGIN + COLUMNS * (BOX + GAP) - GAP
FRAME = 8
"""From a service's frame to its boxes."""
LABEL = 24
"""Height of a service's label, between its frame and its first row."""
ARRIVALS = 112
"""From the left side of a box to where arrows arrive: before that a service has its label."""
LANE = 8
LEAVING, ARRIVING = 14, 22
"""From a box to the first lane below it, and from the last lane to a box: an arrow's head needs room."""

Edge = tuple[str, str]
"""(user, used)"""
Uses = Mapping[str, Collection[str]]
Names = Sequence[str | None]
"""Left to right; None for a place that stays free, so that blocks keep their columns."""


@dataclass(frozen=True, slots=True)
class Rectangle:
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Layout:
    """frames: service -> around its boxes. routes: corners of each arrow, from its start to its end."""

    boxes: Mapping[str, Rectangle]
    frames: Mapping[str, Rectangle]
    routes: Mapping[Edge, Sequence[tuple[int, int]]]
    height: int


@dataclass(frozen=True, slots=True)
class _Place:
    """row: number of its row. x: of its left side."""

    row: int
    x: int


@dataclass(frozen=True, slots=True)
class _Path:
    """An arrow before it is known how high things are: it goes down or up at each of `xs`, and from one to the next in a channel.

    channels: one fewer than `xs`. Channel N is above row N.
    """

    xs: tuple[int, ...]
    channels: tuple[int, ...]


def arrange(heights: Mapping[str, int], uses: Uses, services: Mapping[str, Sequence[str]] | None = None) -> Layout:
    """heights: of each box. services: service -> its modules; None to show no services."""
    rows = list(_bands(services, uses) if services else _rows(list(heights), uses))
    places = {name: _Place(number, x) for number, row in enumerate(rows) for name, x in _xs(row)}
    edges = sorted((user, used) for user in heights for used in uses.get(user, ()) if used in heights)
    paths = _paths(rows, places, edges)
    lanes = _lanes(paths)
    firsts = {min(places[module].row for module in modules) for modules in (services or {}).values()}
    pad = FRAME if services else 0
    channels: list[int] = []
    tops: list[int] = []
    bottom = 0
    for number in range(len(rows) + 1):
        channels.append(bottom)
        depth = 1 + max((lane for (channel, _), lane in lanes.items() if channel == number), default=-1)
        tops.append(bottom + LEAVING + depth * LANE + ARRIVING + (LABEL + pad if number in firsts else 0))
        if number < len(rows):
            bottom = tops[-1] + max(heights[name] for name in rows[number] if name) + pad
    boxes = {name: Rectangle(place.x, tops[place.row], BOX, heights[name]) for name, place in places.items()}
    return Layout(
        boxes=boxes,
        frames={name: _frame([boxes[module] for module in modules]) for name, modules in (services or {}).items()},
        routes={edge: list(_corners(edge, path, lanes, channels, boxes)) for edge, path in paths.items()},
        height=tops[-1],
    )


# Levels and rows


def _levels(names: Sequence[str], uses: Uses) -> list[list[str]]:
    users = {name: {user for user in names if name in uses.get(user, ()) and user != name} for name in names}
    level: dict[str, int] = {}
    while waiting := [name for name in names if name not in level]:
        fewest = min(len(users[name] - level.keys()) for name in waiting)
        ready = [name for name in waiting if len(users[name] - level.keys()) == fewest]
        for name in ready if fewest == 0 else ready[:1]:
            level[name] = 1 + max((level[user] for user in users[name] if user in level), default=-1)
    return [[name for name in names if level[name] == number] for number in range(max(level.values(), default=-1) + 1)]


def _near_users(level: Sequence[str], above: Sequence[Names], uses: Uses) -> list[str]:
    """In the order of the mean column of those that use them; who is used by none above keeps its place in the middle."""
    columns = {name: column - len(row) / 2 for row in above for column, name in enumerate(row) if name}

    def mean(name: str) -> float:
        found = [column for user, column in columns.items() if name in uses.get(user, ())]
        return sum(found) / len(found) if found else 0.0

    return sorted(level, key=mean)


def _rows(names: Sequence[str], uses: Uses) -> list[Names]:
    rows: list[Names] = []
    for level in _levels(names, uses):
        rows += _filled(_near_users(level, rows, uses))
    return rows


def _filled(names: Sequence[str]) -> list[Names]:
    return [names[start : start + COLUMNS] for start in range(0, len(names), COLUMNS)]


def _bands(services: Mapping[str, Sequence[str]], uses: Uses) -> Iterator[Names]:
    """Rows in which each service's modules are a block."""
    owner = {module: service for service, modules in services.items() for module in modules}
    between = {
        service: {owner[used] for module in modules for used in uses.get(module, ()) if used in owner} - {service}
        for service, modules in services.items()
    }
    placed: list[Names] = []
    for level in _levels(list(services), between):
        band: list[list[Names]] = []
        ordered = _near_users(level, placed, between)
        placed.append(ordered)
        for service in ordered:
            block = _filled([name for names in _levels(services[service], uses) for name in names])
            if band and sum(map(_width, band)) + _width(block) > COLUMNS:
                yield from _beside(band)
                band = []
            band.append(block)
        yield from _beside(band)


def _width(block: Sequence[Names]) -> int:
    return max(map(len, block))


def _beside(band: Sequence[Sequence[Names]]) -> Iterator[Names]:
    for number in range(max(map(len, band))):
        row: list[str | None] = []
        for block in band:
            names = block[number] if number < len(block) else ()
            row += [*names, *[None] * (_width(block) - len(names))]
        yield row


def _xs(row: Names) -> Iterator[tuple[str, int]]:
    free = (COLUMNS - len(row)) * (BOX + GAP)
    for index, name in enumerate(row):
        if name:
            yield name, MARGIN + free // 2 + index * (BOX + GAP)


# Ports and routes


def _paths(rows: Sequence[Names], places: Mapping[str, _Place], edges: Sequence[Edge]) -> dict[Edge, _Path]:
    starts = _ports(edges, places, end=0, begin=0)
    ends = _ports(edges, places, end=1, begin=ARRIVALS + 8)
    free = [_passages(x for _, x in _xs(row)) for row in rows]
    taken: dict[tuple[int, int], Edge] = {}
    """(row, x) -> the arrow that passes there."""
    paths: dict[Edge, _Path] = {}
    for edge in edges:
        first, last = places[edge[0]].row, places[edge[1]].row
        passed = range(first + 1, last) if last > first else range(first, last - 1, -1)
        xs = [starts[edge]]
        for row in passed:
            # In the channel between two rows, those that pass either of them would meet.
            open_ = [x for x in free[row] if all(taken.get((near, x), edge) == edge for near in (row - 1, row, row + 1))]
            x = min(open_ or free[row], key=lambda x: (abs(x - xs[-1]) + abs(x - ends[edge]), abs(x - xs[-1]), x))
            taken[row, x] = edge
            xs.append(x)
        channels = (first + 1, *(row + 1 if last > first else row for row in passed))
        paths[edge] = _Path((*xs, ends[edge]), channels)
    return paths


def _ports(edges: Sequence[Edge], places: Mapping[str, _Place], *, end: int, begin: int) -> dict[Edge, int]:
    """x of each arrow at its start (end=0) or its end (end=1): spread over the box from `begin` on, as the other ends are."""
    ports: dict[Edge, int] = {}
    for name, place in places.items():
        here = sorted((edge for edge in edges if edge[end] == name), key=lambda edge: (places[edge[1 - end]].x, edge))
        for index, edge in enumerate(here, 1):
            ports[edge] = place.x + begin + index * (BOX - begin) // (len(here) + 1) // 16 * 16
    return ports


def _passages(boxes: Iterable[int]) -> list[int]:
    """Every x at which a row can be passed: between and beside its boxes, out of the way of frames. boxes: their left sides."""
    left = list(boxes)
    return [x for x in range(12, WIDTH - 8, 8) if all(x < box - FRAME or x > box + BOX + FRAME for box in left)]


def _lanes(paths: Mapping[Edge, _Path]) -> dict[tuple[int, Edge], int]:
    """(channel, arrow) -> its lane: the highest in which it meets nobody."""
    stretches = sorted(
        (channel, min(pair), max(pair), edge)
        for edge, path in paths.items()
        for channel, *pair in zip(path.channels, path.xs, path.xs[1:], strict=False)
    )
    lanes: dict[tuple[int, Edge], int] = {}
    until: dict[tuple[int, int], int] = {}
    """(channel, lane) -> x up to which it is taken."""
    for channel, begin, end, edge in stretches:
        lane = next(lane for lane in range(len(stretches)) if until.get((channel, lane), -1) < begin)
        lanes[channel, edge] = lane
        until[channel, lane] = end
    return lanes


def _corners(
    edge: Edge,
    path: _Path,
    lanes: Mapping[tuple[int, Edge], int],
    channels: Sequence[int],
    boxes: Mapping[str, Rectangle],
) -> Iterator[tuple[int, int]]:
    start, end = boxes[edge[0]], boxes[edge[1]]
    yield path.xs[0], start.y + start.height
    for channel, before, after in zip(path.channels, path.xs, path.xs[1:], strict=False):
        if before != after:
            y = channels[channel] + LEAVING + lanes[channel, edge] * LANE
            yield before, y
            yield after, y
    yield path.xs[-1], end.y


def _frame(boxes: Sequence[Rectangle]) -> Rectangle:
    left, top = min(box.x for box in boxes) - FRAME, min(box.y for box in boxes) - LABEL - FRAME
    right = max(box.x + box.width for box in boxes) + FRAME
    bottom = max(box.y + box.height for box in boxes) + FRAME
    return Rectangle(left, top, right - left, bottom - top)
