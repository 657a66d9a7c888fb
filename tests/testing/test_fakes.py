"""`fake`: another answer in every placement, and one that breaks the contract is refused."""

import pytest

from tests.testing.app import Project, Ran, write

pytestmark = pytest.mark.timeout(120)

SUITE = """
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
    await ramet_fake(orders.count, 9)
    assert await orders.count() == 9
    assert (await front.order("tea")).id == 1
    assert await front.shout(1) == "TEA"


async def test_the_inner_of_two_counts():
    async with fake(orders.count, 1):
        async with fake(orders.count, 2):
            assert await orders.count() == 2
        assert await orders.count() == 1
    assert await orders.count() == 0


async def test_its_own_endpoint_is_real(ramet_fake, ramet_http):
    await ramet_fake(orders.get, orders.Order(3, "faked"))
    assert (await ramet_http.get("/api/orders/1")).status == 404
    assert (await ramet_http.get("/api/front/1")).json == "FAKED"


async def test_refused_wrong_result(ramet_fake):
    await ramet_fake(orders.count, "many")


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
    await ramet_fake(orders.count, 9)
"""

OUTSIDE = """
import asyncio
from ramet.testing import fake
from shop.orders import api as orders


def test_outside():
    async def main():
        async with fake(orders.count, 9):
            pass

    asyncio.run(main())
"""

PLACEMENTS = ("together", "wire", "processes")
GOOD = [
    "test_a_result",
    "test_a_function_and_what_it_was_asked",
    "test_a_plain_function_and_what_it_knows_of_the_test",
    "test_a_failure",
    "test_an_exception",
    "test_an_error_of_the_call",
    "test_items_of_a_stream",
    "test_an_error_of_a_stream",
    "test_the_rest_of_the_module_is_real",
    "test_the_inner_of_two_counts",
    "test_its_own_endpoint_is_real",
]
REFUSED = [
    ("test_refused_wrong_result", "the fake of orders.count answers what its contract does not allow"),
    ("test_refused_wrong_items", "the fake of orders.skus answers what its contract does not allow"),
    ("test_refused_no_items", "orders.skus streams, and 1 is no list of items"),
    ("test_refused_other_parameters", "cannot stand for orders.create(sku): missing a required argument: 'name'"),
    ("test_refused_undeclared_failure", "orders.create does not raise NoOrder: it is not in its `raises`"),
    ("test_refused_what_is_no_call", "print is not a call of a module"),
    ("test_refused_although_its_caller_swallows_it", "the fake of orders.get answers what its contract does not allow"),
]


@pytest.fixture(scope="module")
def ran(project: Project) -> Ran:
    write(project.folder, {"fakes/test_fake.py": SUITE, "fakes/test_grouped.py": GROUPED, "fakes/test_outside.py": OUTSIDE})
    return project.run("fakes")


@pytest.mark.parametrize("test", GOOD)
def test_a_fake_answers_in_every_placement(ran: Ran, test: str) -> None:
    """Also where the callee runs in another process, and so does its caller."""
    assert ran.of(test) == dict.fromkeys(PLACEMENTS, "passed"), ran.text


@pytest.mark.parametrize(("test", "told"), REFUSED)
def test_a_fake_that_breaks_the_contract_is_refused(ran: Ran, test: str, told: str) -> None:
    """It would prove that a caller works with what it can never get."""
    for placement in PLACEMENTS:
        name = f"{test}[{placement}]"
        assert ran.outcomes[name] in {"failed", "error"}
        assert told in ran.told[name]
        assert "[RM602]" in ran.told[name]


def test_a_fake_that_its_callers_could_not_meet_is_refused(ran: Ran) -> None:
    """In one instance a caller looks at no routing table."""
    name = "test_in_one_service[processes seed]"
    assert ran.outcomes[name] == "failed"
    assert "`orders` cannot be faked in topology seed: `front`, which calls it, runs in the same service, main" in ran.told[name]


def test_a_fake_outside_of_a_placed_test_says_so(ran: Ran) -> None:
    assert "fake() outside of a placed test [RM602]" in ran.told["test_outside"]
