"""One test in three placements: what passes together and breaks apart, and what each placement does to it."""

import pytest

from tests.testing.app import Project, Ran, write

pytestmark = pytest.mark.timeout(120)

ALL = {"together", "wire", "processes"}

SUITE = """
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
    assert await orders.count() == 1


@pytest.mark.parametrize("turn", [1, 2])
async def test_rows_and_identities_are_as_at_the_beginning(turn):
    assert await orders.count() == 0
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
    assert await orders.count() == 8
"""


@pytest.fixture(scope="module")
def ran(project: Project) -> Ran:
    write(project.folder, {"tests/test_suite.py": SUITE, "tests/test_grown.py": GROWN})
    return project.run("tests/test_suite.py", "tests/test_grown.py")


@pytest.mark.parametrize(
    ("test", "fails_in"),
    [
        ("test_modules_call_each_other", set()),
        ("test_a_context_variable_reaches_the_callee", {"wire", "processes"}),
        ("test_a_call_that_is_not_idempotent", {"wire"}),
        ("test_a_once_call_runs_once", set()),
        ("test_fixtures_run_where_the_test_runs", set()),
        ("test_a_client_for_endpoints", set()),
        ("test_where_a_module_runs", set()),
        ("test_of_a_class", set()),
    ],
)
def test_a_placement_catches_what_only_it_can(ran: Ran, test: str, fails_in: set[str]) -> None:
    """Strict mode takes no context variable for a wire, and one answer for two; nor does a test that runs in one process."""
    assert ran.of(test) == {placement: "failed" if placement in fails_in else "passed" for placement in ALL}, ran.text


@pytest.mark.parametrize(
    "test",
    [
        "test_rows_and_identities_are_as_at_the_beginning",
        "test_rows_of_the_migrations_come_back",
        "test_a_changed_table_comes_back",
    ],
)
def test_no_test_finds_what_another_has_written(ran: Ran, test: str) -> None:
    """Also where the writer was another process, and committed; identities, rows of migrations and the tables themselves."""
    assert ran.of(test) == {f"{placement}-{turn}": "passed" for placement in ALL for turn in (1, 2)}, ran.text


def test_a_topology_s_services_run_apart(ran: Ran) -> None:
    """Two instances of one service too."""
    assert ran.of("test_the_services_of_a_topology") == {"processes grown": "passed"}, ran.text


def test_a_failure_over_the_wire_names_its_seed_and_one_in_processes_its_logs(ran: Ran) -> None:
    assert "the same ones again: pytest --ramet-seed" in ran.text
    assert "lost replies:" in ran.text


LOSSES = """
import pytest
from shop.orders import api as orders


@pytest.mark.ramet("wire")
async def test_many_reads():
    for _ in range(30):
        assert await orders.count() == 0
    pytest.fail("to see what was lost")
"""


def test_the_seed_brings_the_same_losses_again(project: Project) -> None:
    """And another seed others: with 60 replies and one in ten lost, none is a chance of 2 in 1000."""
    write(project.folder, {"tests/test_losses.py": LOSSES})
    lost = []
    for seed in ("7", "7", "8"):
        ran = project.run("tests/test_losses.py", "--ramet-seed", seed)
        assert f"--ramet-seed {seed}\n" in ran.text, ran.text
        lost.append(next(line for line in ran.text.splitlines() if line.startswith("lost replies: ")))
    assert lost[0] == lost[1] != lost[2]
    assert "orders.count #" in lost[0]


WORKERS = """
import pytest
from shop.orders import api as orders


@pytest.mark.parametrize("turn", range(6))
@pytest.mark.ramet("together")
async def test_alone(turn):
    assert (await orders.create("tea")).id == 1
"""


def test_workers_share_the_server_and_not_their_rows(project: Project) -> None:
    """One PostgreSQL, a database each; the last to leave stops it."""
    write(project.folder, {"tests/test_workers.py": WORKERS})
    ran = project.run("tests/test_workers.py", "-n", "2")
    assert set(ran.outcomes.values()) == {"passed"}, ran.text
    assert len(ran.outcomes) == 6
    assert not (project.folder / ".ramet/testing/postgres/data/postmaster.pid").exists()


MISTAKES = [
    (
        '@pytest.mark.ramet("togther")\nasync def test_a(): ...',
        "there is no placement 'togther' [RM601]\nhint: did you mean `together`?",
    ),
    ("@pytest.mark.ramet\ndef test_a(): ...", "and is no `async def`"),
    (
        '@pytest.mark.ramet("wire", topolgy="x")\nasync def test_a(): ...',
        "takes no 'topolgy' [RM601]\nhint: did you mean `topology`?",
    ),
    ('@pytest.mark.ramet("wire", topology="grown")\nasync def test_a(): ...', "'grown' says what runs apart in `processes`"),
    ('@pytest.mark.ramet("processes", topology="grwn")\nasync def test_a(): ...', "no topology 'grwn'"),
    ("def test_a(ramet_http): ...", "lacks the marker that says where it runs\nhint: @pytest.mark.ramet"),
]


@pytest.fixture(scope="module")
def mistaken(project: Project) -> Ran:
    """All of them in one run."""
    files = {f"mistakes/test_{number}.py": f"import pytest\n\n{source}\n" for number, (source, _) in enumerate(MISTAKES)}
    write(project.folder, files)
    return project.run("mistakes", "--continue-on-collection-errors")


@pytest.mark.parametrize("number", range(len(MISTAKES)), ids=[told for _, told in MISTAKES])
def test_a_mistake_says_what_to_write(mistaken: Ran, number: int) -> None:
    """Without a traceback, which would be that of the plugin."""
    assert mistaken.code != 0
    assert f"mistakes/test_{number}.py" in mistaken.text
    assert MISTAKES[number][1] in mistaken.text.replace("\nE   ", "\n"), mistaken.text
    assert "Traceback" not in mistaken.text
    assert "passed" not in mistaken.text


def test_a_folder_without_an_application_is_named(project: Project, tmp_path) -> None:
    write(tmp_path, {"pytest.ini": "[pytest]\n", "test_a.py": "import pytest\n\n@pytest.mark.ramet\nasync def test_a(): ...\n"})
    ran = Project(tmp_path, {}).run("test_a.py")
    assert "there is no ramet.toml here or above [RM201]" in ran.text
    assert f"at: {tmp_path}" in ran.text
