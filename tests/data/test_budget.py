"""Connections of all instances against those of the server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramet.data import budget
from ramet.data.errors import OverBudget

SERVER = budget.Server(name="main", max_connections=100)


def test_too_many_connections_are_refused_with_the_sum() -> None:
    demands = [
        budget.Demand(service="web", module="articles", instances=3, max_connections=20, surge=1),
        budget.Demand(service="feed", module="feed", instances=2, max_connections=10),
    ]
    with pytest.raises(OverBudget) as caught:
        budget.check(SERVER, demands)
    assert caught.value.message.splitlines() == [
        "100 connections may be wanted, and main has 87 for instances (100 less 13 in reserve)",
        "  web/articles  (3 + 1 during a release) x 20 = 80",
        "  feed/feed     2 x 10 = 20",
    ]
    assert caught.value.hint == "at most 14 connections in each pool, or max_connections = 113 on the server"


def test_what_fits_is_let_through() -> None:
    assert budget.check(SERVER, [budget.Demand(service="web", module="a", instances=4, max_connections=20)]) == 80
    assert budget.check(SERVER, []) == 0


@given(
    sizes=st.lists(st.tuples(st.integers(1, 20), st.integers(0, 5)), min_size=1, max_size=8),
    limit=st.integers(0, 2000),
)
def test_the_size_that_fits_does_fit_and_one_more_does_not(sizes: list[tuple[int, int]], limit: int) -> None:
    server = budget.Server(name="s", max_connections=limit)

    def demands(size: int) -> list[budget.Demand]:
        return [budget.Demand(service="s", module="m", instances=n, surge=surge, max_connections=size) for n, surge in sizes]

    fits = budget.fitting(server, demands(1))
    budget.check(server, demands(fits))
    with pytest.raises(OverBudget):
        budget.check(server, demands(fits + 1))
