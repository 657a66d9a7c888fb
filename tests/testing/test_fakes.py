"""`fake`: another answer in every placement, and one that breaks the contract is refused."""

import pytest

from tests.testing.app import Ran

pytestmark = pytest.mark.timeout(120)

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
    ("test_refused_wrong_result", "the fake of orders.total answers what its contract does not allow"),
    ("test_refused_wrong_items", "the fake of orders.skus answers what its contract does not allow"),
    ("test_refused_no_items", "orders.skus streams, and 1 is no list of items"),
    ("test_refused_other_parameters", "cannot stand for orders.create(sku): missing a required argument: 'name'"),
    ("test_refused_undeclared_failure", "orders.create does not raise NoOrder: it is not in its `raises`"),
    ("test_refused_what_is_no_call", "print is not a call of a module"),
    ("test_refused_although_its_caller_swallows_it", "the fake of orders.get answers what its contract does not allow"),
]


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
