import pytest

from tests.calls.placing import APART, PLACEMENTS
from tests.calls.shop import Shop


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture(params=PLACEMENTS)
def placement(request: pytest.FixtureRequest) -> str:
    """The same claim in each placement: what works together works apart."""
    return request.param


@pytest.fixture(params=APART)
def wire(request: pytest.FixtureRequest) -> str:
    return request.param
