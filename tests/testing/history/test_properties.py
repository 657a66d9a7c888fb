"""What a store that keeps its word is never accused of, and what one that does not is always accused of."""

import random
from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ramet.testing.history import History, Kind, Operation, Outcome, Promise, Seen, Some, check
from tests.testing.history import store

chances = st.integers(0, 2**32).map(store.Chance)
quick = settings(max_examples=60, deadline=None)


def found(operations: list[Operation], final: dict[str, Seen], promise: Promise = Promise.SESSION) -> set[tuple[Kind, str]]:
    """(kind, name of the request), but for requests that had no good answer."""
    history = History()
    for operation in operations:
        history.append(operation)
    report = check(history, final, promise=promise)
    return {
        (finding.kind, operations[finding.operation].name if finding.operation is not None else "")
        for finding in report.findings
        if finding.kind is not Kind.FAILED
    }


def recorded(chance: random.Random, *, replicas: bool = False) -> tuple[list[Operation], dict[str, Seen]]:
    history, final = store.run(chance, replicas=replicas)
    return list(history.operations), dict(final)


@given(chances)
@settings(max_examples=400, deadline=None)
def test_a_store_that_keeps_its_word_is_never_accused(chance: random.Random) -> None:
    """Also where requests ran late or not at all, and nobody was told."""
    operations, final = recorded(chance)
    for promise in Promise:
        assert found(operations, final, promise) == set()


@given(chances)
@settings(max_examples=400, deadline=None)
def test_replicas_that_lag_are_not_accused_of_what_they_do_not_promise(chance: random.Random) -> None:
    """As long as each client sees what it wrote and saw."""
    operations, final = recorded(chance, replicas=True)
    assert found(operations, final) == set()


@given(chances)
@quick
def test_an_outcome_that_is_not_known_takes_blame_from_nobody_and_gives_it_to_nobody(chance: random.Random) -> None:
    """A client that forgets what came of its requests knows less, and never finds more."""
    operations, final = recorded(chance)
    forgotten = [
        replace(each, outcome=Outcome.UNKNOWN, reads={}) if chance.random() < 0.5 and each.outcome is Outcome.OK else each
        for each in operations
    ]
    for promise in Promise:
        assert found(forgotten, final, promise) == set()


@given(chances)
@quick
def test_each_request_without_a_good_answer_is_found(chance: random.Random) -> None:
    """By its number, and no other."""
    history, final = store.run(chance)
    report = check(history, final)
    bad = {number for number, each in enumerate(history.operations) if each.outcome is not Outcome.OK}
    assert {finding.operation for finding in report.findings} == bad
    assert report.counts[Kind.FAILED] == len(bad)
    assert report.is_clean is (not bad)


def commands(operations: list[Operation], outcome: Outcome = Outcome.OK) -> list[tuple[Operation, str, str]]:
    """(request, key, token) of those that added a token which nobody was to remove."""
    removed = {token for each in operations for tokens in each.removes.values() for token in tokens}
    return [
        (each, key, token)
        for each in operations
        if each.outcome is outcome
        for key, tokens in each.adds.items()
        for token in tokens
        if token not in removed
    ]


@given(chances)
@quick
def test_a_dropped_command_is_found_and_named(chance: random.Random) -> None:
    """Acknowledged, and not there in the end."""
    operations, final = recorded(chance)
    candidates = commands(operations)
    assume(candidates)
    dropped, key, token = chance.choice(candidates)
    tokens = final[key]
    assert isinstance(tokens, tuple)
    final[key] = tuple(each for each in tokens if each != token)
    assert found(operations, final) == {(Kind.LOST, dropped.name)}


@given(chances)
@quick
def test_a_dropped_write_is_found_and_named(chance: random.Random) -> None:
    """The last one of a register; one that was overwritten is missed by nobody."""
    operations, final = recorded(chance)
    writes = {key: [each for each in operations if key in each.sets and each.outcome is not Outcome.FAILED] for key in final}
    last = [
        (key, dropped)
        for key, those in writes.items()
        for dropped in those
        if dropped.outcome is Outcome.OK
        and all(
            each is dropped or (each.outcome is Outcome.OK and (each.returned_s or 0.0) < dropped.invoked_s) for each in those
        )
    ]
    assume(last)
    key, dropped = chance.choice(last)
    earlier = [each for each in writes[key] if each.sets[key] != dropped.sets[key]]
    final[key] = chance.choice(earlier).sets[key] if earlier else None
    assert found(operations, final) == {(Kind.LOST, dropped.name)}


@given(chances, st.sampled_from([Outcome.OK, Outcome.UNKNOWN]))
@quick
def test_a_command_that_ran_twice_is_found_and_named(chance: random.Random, outcome: Outcome) -> None:
    """Whether or not its client was told that it ran."""
    operations, final = recorded(chance)
    candidates = [each for each in commands(operations, outcome) if each[2] in (final[each[1]] or ())]  # type: ignore[operator]
    assume(candidates)
    doubled, key, token = chance.choice(candidates)
    final[key] = (*final[key], token)  # type: ignore[misc]
    assert found(operations, final) == {(Kind.TWICE, doubled.name)}


@given(chances)
@quick
def test_a_refused_command_that_ran_is_found_and_named(chance: random.Random) -> None:
    """Its client was told that it had not, and may have sent it again."""
    operations, final = recorded(chance)
    candidates = commands(operations, Outcome.FAILED)
    assume(candidates)
    refused, key, token = chance.choice(candidates)
    final[key] = (*final[key], token)  # type: ignore[misc]
    assert found(operations, final) == {(Kind.UNEXPECTED, refused.name)}


@given(chances, st.sampled_from(list(Promise)))
@quick
def test_a_read_that_is_older_than_its_client_s_own_write_is_found_and_named(chance: random.Random, promise: Promise) -> None:
    """The client wrote twice, then saw what was before the second."""
    operations, final = recorded(chance)
    end_s = max(each.returned_s or 0.0 for each in operations) + 50
    ok = Operation("reader", "", end_s, end_s, end_s, Outcome.OK)
    key = chance.choice(store.REGISTERS)
    own = [
        replace(ok, name=f"own {number}", sets={key: f"own {number}"}, invoked_s=end_s + number, returned_s=end_s + number + 0.5)
        for number in (1, 2)
    ]
    older = chance.choice(["own 1", *{each.sets[key] for each in operations if key in each.sets and each.outcome is Outcome.OK}])
    read = replace(ok, name="read", invoked_s=end_s + 3, returned_s=end_s + 4, reads={key: older})
    final[key] = "own 2"
    assume(not any(each.sets.get(key) == older and each.outcome is Outcome.UNKNOWN for each in operations))
    assert found([*operations, *own, read], final, promise) == {(Kind.STALE, "read")}
    fresh = replace(read, reads={key: "own 2"})
    assert found([*operations, *own, fresh], final, promise) == set()


@given(chances)
@quick
def test_a_read_that_goes_back_behind_an_earlier_one_is_found_and_named(chance: random.Random) -> None:
    """Of what another client wrote: it may be seen late, but not come and go."""
    operations, final = recorded(chance)
    end_s = max(each.returned_s or 0.0 for each in operations) + 50
    ok = Operation("writer", "", end_s, end_s, end_s, Outcome.OK)
    writes = [
        replace(ok, name=f"w{number}", sets={"title": f"v{number}"}, invoked_s=end_s + number, returned_s=end_s + number + 0.5)
        for number in (1, 2)
    ]
    reads = [
        replace(
            ok, client="reader", name=f"r{at}", reads={"title": f"v{seen}"}, invoked_s=end_s + at, returned_s=end_s + at + 0.5
        )
        for at, seen in ((5, 1), (6, 2), (7, 1))
    ]
    final["title"] = "v2"
    assert found([*operations, *writes, *reads], final) == {(Kind.STALE, "r7")}
    assert found([*operations, *writes, *reads], final, Promise.REAL_TIME) == {(Kind.STALE, "r5"), (Kind.STALE, "r7")}


@given(chances)
@quick
def test_counts_that_hide_a_lost_or_doubled_command_are_found(chance: random.Random) -> None:
    """Where the final state tells only how many there are, and nothing was going on."""
    operations, final = recorded(chance)
    sure = [each for each in operations if each.outcome is Outcome.OK and not each.removes]
    adds = commands(sure)
    assume(adds)
    key = chance.choice(adds)[1]
    many = sum(each[1] == key for each in adds)
    counted: dict[str, Seen] = {each: Some() for each in final} | {key: Some(count=many)}
    sure = [replace(each, reads={}) for each in sure]
    assert found(sure, counted) == set()
    names = {each[0].name for each in adds if each[1] == key}
    for wrong, kind in ((many - 1, Kind.LOST), (many + 1, Kind.TWICE)):
        ((seen, name),) = found(sure, counted | {key: Some(count=wrong)})
        assert seen is kind
        assert name in names
