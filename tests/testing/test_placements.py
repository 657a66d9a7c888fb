"""One test in three placements: what passes together and breaks apart, and what each placement does to it."""

import time

import pytest

from ramet.engines.identity import identify
from ramet.testing.losses import Losses
from tests.testing.app import Project, Ran, write
from tests.testing.suites import HANGING, MIXED, SEED

pytestmark = pytest.mark.timeout(120)

ALL = {"together", "wire", "processes"}


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


def test_the_seed_says_which_replies_are_lost(ran: Ran) -> None:
    """By it, the test's name, the call and the number of its reply, whatever runs before; so they are the same ones again."""
    losses = Losses(SEED, "tests/test_losses.py::test_many_reads[wire]")
    for _ in range(60 + 10):
        losses.is_next_lost("orders.total")
    lost = ran.text.partition("lost replies: orders.total #")[2].partition("\n")[0]
    assert len(lost.split(", ")) >= 2
    assert ", ".join(losses.lost).startswith(f"orders.total #{lost}")
    assert f"the same ones again: pytest --ramet-seed {SEED}\n" in ran.text


def test_another_seed_or_test_loses_others_and_never_two_in_a_row() -> None:
    """Two in a row could be three, and three attempts are all that a call has."""

    def lost(seed: int, test: str) -> list[int]:
        losses = Losses(seed, test)
        return [number for number in range(1000) if losses.is_next_lost("a.b")]

    assert lost(1, "t") == lost(1, "t")
    assert lost(1, "t") != lost(2, "t") != lost(2, "u")
    assert 60 < len(lost(1, "t")) < 140
    assert all(later - earlier > 1 for earlier, later in zip(lost(3, "t"), lost(3, "t")[1:], strict=False))


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


def test_plugins_that_run_coroutines_too_are_not_in_the_way(project: Project) -> None:
    """pytest-asyncio takes every coroutine that it finds, in its mode `auto`: those with the marker it does not find."""
    write(project.folder, {"tests/test_mixed.py": MIXED})
    loop_scope = ("-o", "asyncio_default_fixture_loop_scope=function")
    ran = project.run("tests/test_mixed.py", "--asyncio-mode=auto", *loop_scope)
    assert ran.outcomes == {"test_ours[together]": "passed", "test_in_a_class[together]": "passed", "test_theirs": "passed"}, (
        ran.text
    )


def test_what_a_killed_run_left_is_ended_by_the_next(project: Project) -> None:
    """Its instances, its server's supervision, its rows."""
    write(project.folder, {"tests/test_hanging.py": HANGING})
    hanging = project.folder / "hanging"
    with project.start("tests/test_hanging.py") as killed:
        until = time.monotonic() + 60
        while not hanging.exists():
            assert killed.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)  # another process makes it: nothing tells us
        killed.kill()
    instance = int(hanging.read_text())
    assert identify(instance) is not None
    hanging.unlink()
    ran = project.run("tests/test_workers.py")
    assert set(ran.outcomes.values()) == {"passed"}, ran.text
    assert identify(instance) is None
    assert not (project.folder / ".ramet/testing/postgres/data/postmaster.pid").exists()
    assert list((project.folder / ".ramet/testing/processes").iterdir()) == []


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
