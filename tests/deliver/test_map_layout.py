"""The picture's geometry: for any graph of modules and any division into services, nothing lies on anything else."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from ramet.deliver import map_layout
from ramet.deliver.map_layout import Rectangle, arrange

NAMES = [f"m{number}" for number in range(14)]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[str, int], dict[str, set[str]], dict[str, list[str]] | None]:
    """(heights, uses, services); circles and modules that use themselves by mistake are in it."""
    names = NAMES[: draw(st.integers(1, len(NAMES)))]
    heights = {name: draw(st.integers(30, 400)) for name in names}
    uses = {name: draw(st.sets(st.sampled_from(names), max_size=5)) for name in names}
    if draw(st.booleans()):
        return heights, uses, None
    services: dict[str, list[str]] = {}
    for name in names:
        services.setdefault(f"s{draw(st.integers(0, 5))}", []).append(name)
    return heights, uses, services


def overlap(one: Rectangle, other: Rectangle) -> bool:
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )


def stretches(corners: list[tuple[int, int]]) -> list[Rectangle]:
    """The straight parts of an arrow, 1 px thin."""
    return [
        Rectangle(min(x, u), min(y, v), abs(x - u) or 1, abs(y - v) or 1)
        for (x, y), (u, v) in zip(corners, corners[1:], strict=False)
    ]


@given(graphs())
def test_every_module_has_a_box_and_every_use_an_arrow(graph) -> None:
    """None is left out for want of room."""
    heights, uses, services = graph
    layout = arrange(heights, uses, services)
    assert layout.boxes.keys() == heights.keys()
    assert layout.routes.keys() == {(user, used) for user in uses for used in uses[user]}
    assert layout.frames.keys() == (services or {}).keys()


@given(graphs())
def test_boxes_and_frames_do_not_overlap_and_are_on_the_page(graph) -> None:
    """A frame holds the boxes of its service, and no other."""
    heights, uses, services = graph
    layout = arrange(heights, uses, services)
    for one, other in combinations(layout.boxes.values(), 2):
        assert not overlap(one, other)
    for one, other in combinations(layout.frames.values(), 2):
        assert not overlap(one, other)
    for service, modules in (services or {}).items():
        inside = [name for name, box in layout.boxes.items() if overlap(box, layout.frames[service])]
        assert sorted(inside) == sorted(modules)
    for each in (*layout.boxes.values(), *layout.frames.values()):
        assert each.x >= 0
        assert each.y >= 0
        assert each.x + each.width <= map_layout.WIDTH
        assert each.y + each.height <= layout.height


@given(graphs())
def test_an_arrow_leads_from_box_to_box_and_crosses_none(graph) -> None:
    """Along lines that are upright or level, on the page."""
    heights, uses, services = graph
    layout = arrange(heights, uses, services)
    for (user, used), corners in layout.routes.items():
        start, end = layout.boxes[user], layout.boxes[used]
        assert corners[0][1] == start.y + start.height
        assert start.x < corners[0][0] < start.x + start.width
        assert corners[-1][1] == end.y
        assert end.x < corners[-1][0] < end.x + end.width
        for (x, y), (u, v) in zip(corners, corners[1:], strict=False):
            assert (x == u) != (y == v)
        for part in stretches(list(corners)):
            assert 0 <= part.x <= part.x + part.width <= map_layout.WIDTH
            assert 0 <= part.y <= part.y + part.height <= layout.height
            assert not any(overlap(part, box) for box in layout.boxes.values())


@given(graphs())
def test_the_same_graph_has_the_same_picture(graph) -> None:
    """It is kept with the code, and a change of it is seen in a diff. Sets have no order of their own, lists have."""
    heights, uses, services = graph
    forwards, backwards = ({name: sorted(used, reverse=turned) for name, used in uses.items()} for turned in (False, True))
    assert arrange(heights, forwards, services) == arrange(heights, backwards, services)


def test_no_two_arrows_run_along_one_line() -> None:
    """Or it could not be seen where each leads. Twelve modules, each uses the three after it."""
    names = NAMES[:12]
    uses = {name: set(names[number + 1 : number + 4]) for number, name in enumerate(names)}
    layout = arrange(dict.fromkeys(names, 100), uses)
    lines = [(edge, part) for edge, corners in layout.routes.items() for part in stretches(list(corners))]
    for (edge, one), (other_edge, other) in combinations(lines, 2):
        is_parallel = (one.width == 1) == (other.width == 1)
        assert edge == other_edge or not (is_parallel and overlap(one, other)), (edge, other_edge)


def test_a_module_stands_below_those_that_use_it() -> None:
    """The picture is read from the top."""
    layout = arrange(dict.fromkeys("abcd", 50), {"a": "bc", "b": "d", "c": "d"})
    tops = {name: box.y for name, box in layout.boxes.items()}
    assert tops["a"] < tops["b"] == tops["c"] < tops["d"]
