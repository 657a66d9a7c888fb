"""When a change of a schema would break what runs. No database."""

from ramet.model import changes
from ramet.model.changes import SchemaChange
from ramet.model.release import Part, Release

PHASES = {"1": "expand", "2": "backfill", "3": "contract", "4": "expand"}


def release(version: str, *known: str) -> Release:
    part = Part(has_database=True, migrations="somewhere", revisions={each: PHASES[each] for each in known})
    return Release(app="shop", version=version, file="", python="", modules={"orders": part})


def running(*releases: Release) -> dict[str, Release]:
    return {each.version: each for each in releases}


CHANGES = [SchemaChange("orders", PHASES[each], (each,)) for each in "1234"]


def test_a_contract_and_all_after_it_wait_for_the_last_version_that_does_not_know_it() -> None:
    """Versions that know it did without what it takes away before they were rolled in."""
    found, why = changes.possible(CHANGES, running(release("old", "1", "2"), release("new", *"123")))
    assert found == CHANGES[:2]
    assert why == ["contract 3 of orders waits: old runs and does not know it, so it needs what that takes away; ramet roll"]
    assert changes.possible(CHANGES, running(release("new", *"123"))) == (CHANGES, [])
    assert changes.possible(CHANGES, {}) == (CHANGES, [])


def test_one_module_does_not_wait_for_another() -> None:
    other = SchemaChange("people", "contract", ("7",))
    found, why = changes.possible([CHANGES[2], other], running(release("new", *"123")))
    assert found == [CHANGES[2]]
    assert len(why) == 1


def test_rows_that_move_keep_their_schema_but_for_an_expand() -> None:
    """They are on two shards, of which one refuses writes; and a way back needs what a contract takes away."""
    found, why = changes.possible(CHANGES, {}, moving={"orders"})
    assert found == CHANGES[:1]
    assert why == ["backfill 2 of orders waits: a move of its rows is under way, or may yet be undone"]
    assert changes.held(["orders", "people"], {"orders"}) != []
    assert changes.held(["people"], {"orders"}) == []


def test_what_a_running_version_knows_is_not_taken_back() -> None:
    """It may use it. One that was started before it was written does not."""
    assert changes.kept_from(["1", "2"], "orders", running(release("old"))) == []
    (why,) = changes.kept_from(["1", "2"], "orders", running(release("old"), release("new", "1", "2")))
    assert why.startswith("new runs and needs 1, 2 of orders")


def test_a_version_that_needs_what_a_contract_took_away_does_not_fit() -> None:
    """And one that knows it does, whether it was applied or not."""
    has = {"orders": {each: PHASES[each] for each in "123"}}
    (why,) = changes.misfits(release("old", "1", "2"), has)
    assert why.startswith("old does not know the contract 3 that the database of orders has")
    assert changes.misfits(release("new", *"123"), has) == []
    assert changes.misfits(release("new", *"123"), {"orders": {"1": "expand", "2": "backfill"}}) == []


def test_a_version_that_needs_what_follows_a_missing_contract_does_not_fit_yet() -> None:
    """The roll cannot apply the contract, which waits for the roll: a version in between ends with it."""
    (why,) = changes.misfits(release("next", *"1234"), {"orders": {"1": "expand", "2": "backfill"}})
    assert "next needs 4 of orders, which follows a contract that is not applied yet" in why
    assert "ramet migrate apply orders" in why
    assert changes.misfits(release("next", *"1234"), {"orders": {each: PHASES[each] for each in "123"}}) == []
    assert changes.misfits(release("next", *"12"), {"orders": {}}) == []
    assert changes.misfits(release("next", *"12"), {"unknown": {}}) == []
