"""Tests of users, as texts: run once, by `ran`, and looked at by test_placements and test_fakes."""

PLACED = """
import asyncio
import os
import pytest
from shop.front import api as front
from shop.orders import api as orders
from shop.prices import api as prices

pytestmark = pytest.mark.ramet


@pytest.fixture
async def order():
    made = await orders.create("made")
    yield made
    assert await orders.get(made.id) == made


@pytest.fixture
async def number(order):
    return order.id


async def test_modules_call_each_other():
    made = await front.order("tea")
    assert await front.shout(made.id) == "TEA"
    with pytest.raises(orders.NoOrder):
        await front.shout(9)
    assert await front.listed(3) == ["sku-0", "sku-1", "sku-2"]


async def test_a_context_variable_reaches_the_callee():
    assert await front.tenant("acme") == "acme"


async def test_a_call_that_is_not_idempotent():
    assert await front.restock("tea") == 1


async def test_a_once_call_runs_once():
    await orders.pay("tea")
    assert await orders.total() == 1


@pytest.mark.parametrize("turn", [1, 2])
async def test_rows_and_identities_are_as_at_the_beginning(turn):
    assert await orders.total() == 0
    assert (await front.order("tea")).id == 1


@pytest.mark.parametrize("turn", [1, 2])
async def test_rows_of_the_migrations_come_back(turn):
    assert await orders.restock("rice", 0) == 7
    await orders.restock("rice", 1)


@pytest.mark.parametrize("turn", [1, 2])
async def test_a_changed_table_comes_back(turn):
    await orders.add_column()
    assert (await orders.create("tea")).id == 1


async def test_fixtures_run_where_the_test_runs(order, number):
    assert order.id == number == 1


async def test_a_client_for_endpoints(ramet_http, ramet_placement, order):
    answer = await ramet_http.get("/api/front/1")
    assert (answer.status, answer.json) == (200, "MADE")
    assert (await ramet_http.get("/api/orders/1")).json == {"id": 1, "sku": "made"}
    assert (await ramet_http.post("/api/orders?sku=tea")).status == 201
    assert (await ramet_http.get("/api/front/9")).status == 404
    assert (await ramet_http.get("/api/nothing")).status == 404
    assert (await ramet_http.delete("/api/orders/1")).status == 405


async def test_where_a_module_runs(ramet_placement, ramet_app):
    here = await prices.process() == os.getpid()
    assert here is (ramet_placement.name != "processes")
    assert ramet_app.application.name == "shop"


class TestInAClass:
    async def test_of_a_class(self, order):
        assert order.id == 1
"""

GROWN = """
import pytest
from shop.front import api as front
from shop.orders import api as orders


@pytest.mark.ramet("processes", topology="grown")
async def test_the_services_of_a_topology():
    for number in range(1, 9):
        assert (await front.order("tea")).id == number
    assert await orders.total() == 8
"""

LOSSES = """
import pytest
from shop.orders import api as orders


@pytest.mark.ramet("wire")
async def test_many_reads():
    for _ in range(30):
        assert await orders.total() == 0
    pytest.fail("to see what was lost")
"""

FAKED = """
import os
import pytest
from ramet import Unavailable
from ramet.errors import BadAnswer, RemoteError
from ramet.testing import fake
from shop.front import api as front
from shop.orders import api as orders
from shop.tenant import TENANT

pytestmark = pytest.mark.ramet


async def test_a_result():
    async with fake(orders.get, orders.Order(3, "faked")) as asked:
        assert await front.shout(3) == "FAKED"
    assert asked.calls[0] == {"id": 3}
    with pytest.raises(orders.NoOrder):
        await front.shout(3)


async def test_a_function_and_what_it_was_asked(ramet_fake):
    async def create(sku):
        return orders.Order(7, sku * 2)

    asked = await ramet_fake(orders.create, create)
    assert await front.order("tea") == orders.Order(7, "teatea")
    assert asked.calls == [{"sku": "tea"}]


async def test_a_plain_function_and_what_it_knows_of_the_test(ramet_fake):
    pids = []
    await ramet_fake(orders.create, lambda sku: pids.append(os.getpid()) or orders.Order(1, sku))
    await front.order("tea")
    assert pids == [os.getpid()]


async def test_a_failure(ramet_fake):
    await ramet_fake(orders.get, orders.NoOrder(5))
    with pytest.raises(orders.NoOrder) as caught:
        await front.shout(1)
    assert caught.value.id == 5


async def test_an_exception(ramet_fake):
    await ramet_fake(orders.tenant, KeyError("x"))
    with pytest.raises(RemoteError) as caught:
        await orders.tenant()
    assert caught.value.type_name == "KeyError"


async def test_an_error_of_the_call(ramet_fake):
    await ramet_fake(orders.get, Unavailable("down", may_have_run=False))
    assert await front.careless(1) == "Unavailable"


async def test_items_of_a_stream(ramet_fake):
    await ramet_fake(orders.skus, ["a", "b"])
    assert await front.listed(9) == ["a", "b"]


async def test_an_error_of_a_stream(ramet_fake):
    await ramet_fake(orders.skus, Unavailable("down", may_have_run=False))
    with pytest.raises(Unavailable):
        await anext(orders.skus(upto=1))


async def test_the_rest_of_the_module_is_real(ramet_fake):
    await ramet_fake(orders.total, 9)
    assert await orders.total() == 9
    assert (await front.order("tea")).id == 1
    assert await front.shout(1) == "TEA"


async def test_the_inner_of_two_counts():
    async with fake(orders.total, 1):
        async with fake(orders.total, 2):
            assert await orders.total() == 2
        assert await orders.total() == 1
    assert await orders.total() == 0


async def test_its_own_endpoint_is_real(ramet_fake, ramet_http):
    await ramet_fake(orders.get, orders.Order(3, "faked"))
    assert (await ramet_http.get("/api/orders/1")).status == 404
    assert (await ramet_http.get("/api/front/1")).json == "FAKED"


async def test_refused_wrong_result(ramet_fake):
    await ramet_fake(orders.total, "many")


async def test_refused_wrong_items(ramet_fake):
    await ramet_fake(orders.skus, ["a", 1])


async def test_refused_no_items(ramet_fake):
    await ramet_fake(orders.skus, 1)


async def test_refused_other_parameters(ramet_fake):
    await ramet_fake(orders.create, lambda name: orders.Order(1, name))


async def test_refused_undeclared_failure(ramet_fake):
    await ramet_fake(orders.create, orders.NoOrder(1))


async def test_refused_what_is_no_call(ramet_fake):
    await ramet_fake(print, 1)


async def test_refused_although_its_caller_swallows_it():
    async with fake(orders.get, lambda id: "text"):
        assert await front.careless(1) == "RemoteError"
"""

GROUPED = """
import pytest
from shop.front import api as front
from shop.orders import api as orders


@pytest.mark.ramet("processes", topology="seed")
async def test_in_one_service(ramet_fake):
    await ramet_fake(orders.total, 9)
"""

OUTSIDE = """
import asyncio
from ramet.testing import fake
from shop.orders import api as orders


def test_outside():
    async def main():
        async with fake(orders.total, 9):
            pass

    asyncio.run(main())
"""

HANGING = """
import asyncio
from pathlib import Path
import pytest
from shop.orders import api as orders
from shop.prices import api as prices


@pytest.mark.ramet("processes")
async def test_hanging():
    await orders.create("tea")
    Path("hanging.part").write_text(str(await prices.process()))
    Path("hanging.part").rename("hanging")
    await asyncio.Event().wait()
"""

MIXED = """
import asyncio
import pytest
from shop.orders import api as orders


@pytest.fixture
async def made():
    order = await orders.create("made")
    yield order
    assert await orders.get(order.id) == order


@pytest.fixture
async def number():
    await asyncio.sleep(0)
    return 1


@pytest.mark.ramet("together")
async def test_ours(made, number):
    assert made.id == number


@pytest.mark.ramet("together")
class TestOurs:
    async def test_in_a_class(self, made):
        assert made.id == 1


async def test_theirs(number):
    await asyncio.sleep(0)
    assert number == 1
"""

FILES = {
    "tests/test_placed.py": PLACED,
    "tests/test_grown.py": GROWN,
    "tests/test_losses.py": LOSSES,
    "tests/test_faked.py": FAKED,
    "tests/test_grouped.py": GROUPED,
    "tests/test_outside.py": OUTSIDE,
}
SEED = 7
