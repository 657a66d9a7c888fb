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
        "  web   web/articles  (3 + 1 during a release) x 20 = 80",
        "  web   feed/feed     2 x 10 = 20",
        "  in reserve: 1 for the controller, 1 for migrations, 8 for prompts, monitoring and backups, 3 for the server's own",
    ]
    assert caught.value.hint == "[pools] web = 14 in ramet.toml, or max_connections = 113 on the server"


def test_what_fits_is_let_through() -> None:
    assert budget.check(SERVER, [budget.Demand(service="web", module="a", instances=4, max_connections=20)]) == 80
    assert budget.check(SERVER, []) == 0


def test_what_guards_schedules_is_counted_and_cannot_be_made_smaller() -> None:
    demands = [
        budget.Demand(service="main", module="stock", instances=12, max_connections=9),
        budget.Demand(service="main", module="stock", instances=12, max_connections=1, role="jobs"),
    ]
    with pytest.raises(OverBudget, match="120 connections") as caught:
        budget.check(SERVER, demands)
    assert "  jobs  main/stock  12 x 1 = 12" in caught.value.message.splitlines()
    assert caught.value.hint == "[pools] web = 6 in ramet.toml, or max_connections = 133 on the server"


def test_where_not_even_one_connection_each_fits_there_must_be_fewer_instances() -> None:
    with pytest.raises(OverBudget) as caught:
        budget.check(SERVER, [budget.Demand(service="main", module="stock", instances=100, max_connections=1)])
    assert caught.value.hint == "fewer instances, or max_connections = 113 on the server"


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
