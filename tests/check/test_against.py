"""`ramet check --against`: which change breaks which deployed caller, and the compatible way to make it."""

import subprocess
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ramet import Module
from ramet.check import sites
from ramet.check.deployed import Version, compare
from ramet.check.project import Place
from ramet.check.report import Report
from ramet.cli import against
from ramet.errors import ConfigError
from ramet.model.release import Part, Release
from tests.check.support import conduit, write


class Book(msgspec.Struct):
    title: str
    pages: int = 0


class Dated(msgspec.Struct):
    title: str
    year: int


class Bare(msgspec.Struct):
    pages: int = 0


def shelf(function: Callable[..., Any] | None, **options: Any) -> dict[str, Any]:
    module = Module("books")
    if function is not None:
        function.__name__ = "find"
        module.expose(**options)(function)
    return {call.contract.qualified: call.contract.descriptor for call in module.calls.values()}


async def plain(title: str) -> Book: ...


async def more(title: str, year: int) -> Book: ...


async def more_optional(title: str, year: int = 0) -> Book: ...


async def less() -> Book: ...


async def number(title: int) -> Book: ...


async def either(title: str | int) -> Book: ...


async def no_title(title: str) -> Bare: ...


async def dated(title: str) -> Dated: ...


async def optional(title: str) -> Book | None: ...


async def stream(title: str) -> AsyncIterator[Book]:
    yield Book(title)


async def takes(book: Book) -> None: ...


async def takes_dated(book: Dated) -> None: ...


BREAKS: dict[str, tuple[Any, Any, str, str]] = {
    "a call is removed": (plain, None, "was removed", "keep `books.find(title: str)"),
    "a parameter without a default is added": (plain, more, "year: the callee requires it", "give `year` a default"),
    "a parameter is removed": (plain, less, "title: the caller always sends it", "keep `title`, with a default"),
    "a parameter has another type": (
        plain,
        number,
        "title: str is sent, the reader expects int",
        "take the old type as well (`old | new`)",
    ),
    "a field of the result is removed": (plain, no_title, "result.title: the reader requires it", "keep sending `title`"),
    "a result may be nothing": (plain, optional, "result: None is sent", "go on answering what the old callers read"),
    "a result is streamed": (plain, stream, "one side streams it", "add a call beside it, such as `find_2`"),
    "a default is taken away": (
        more_optional,
        more,
        "year: the callee requires it, the caller may leave it out",
        "keep the default of `year`",
    ),
    "a field that is required is added to a parameter": (
        takes,
        takes_dated,
        "book.year: the reader requires it",
        "give the field `year` a default",
    ),
}
COMPATIBLE: dict[str, tuple[Any, Any]] = {
    "nothing": (plain, plain),
    "a parameter with a default is added": (plain, more_optional),
}
CALLEE_FIRST: dict[str, tuple[Any, Any, str]] = {
    "a call is added": (None, plain, "main does not have it"),
    "a parameter takes more": (plain, either, "title: int is sent, the reader expects str"),
    "a parameter gets a default": (more, more_optional, "year: the callee requires it, the caller may leave it out"),
    "a field is added to the result": (plain, dated, "result.year: the reader requires it, the writer does not send it"),
}
SITES = {"books.find": {"shop": "shop/api.py:7"}}


PLACES = {"books": Place("books/api.py", 1), "books.find": Place("books/api.py", 3)}


def compared(before: dict[str, Any], after: dict[str, Any], *, sites: Any = SITES) -> list[Any]:
    return list(compare(Version("main", before, sites), Version("the working tree", after, SITES if sites else {}, PLACES)))


@pytest.mark.parametrize("name", BREAKS)
def test_a_change_that_breaks_a_deployed_caller_is_told_with_the_way_around(name: str) -> None:
    """The caller with its place, what it would run into, and what keeps both versions working."""
    before, after, says, way = BREAKS[name]
    (finding,) = compared(shelf(before), shelf(after))
    assert finding.code == "RM720"
    assert says in finding.message
    assert "`shop` (shop/api.py:7 of main)" in finding.message
    assert way in finding.change
    assert finding.file == "books/api.py"


@pytest.mark.parametrize("name", COMPATIBLE)
def test_a_compatible_change_is_not_told(name: str) -> None:
    """Additive changes need no order."""
    before, after = COMPATIBLE[name]
    assert compared(shelf(before), shelf(after)) == []


@pytest.mark.parametrize("name", CALLEE_FIRST)
def test_a_change_that_needs_an_order_is_a_note_with_the_order(name: str) -> None:
    """New callers before new callees would fail; the other way round nothing does."""
    before, after, says = CALLEE_FIRST[name]
    (finding,) = compared(shelf(before), shelf(after))
    assert finding.code == "RM721"
    assert finding.rule.is_note
    assert says in finding.message
    assert finding.change == "release `books` before `shop`"


@pytest.mark.parametrize("option", ["idempotent", "once"])
def test_a_call_that_may_not_be_repeated_any_more_breaks_those_who_repeat_it(option: str) -> None:
    """The signature is the same, and what an old caller does after a lost answer would take effect twice."""
    (finding,) = compared(shelf(plain, **{option: True}), shelf(plain))
    assert finding.code == "RM720"
    assert f"is not {option} any more" in finding.message
    assert compared(shelf(plain), shelf(plain, **{option: True})) == []
    assert compared(shelf(plain, once=True), shelf(plain, idempotent=True)) == []


def test_a_call_that_nobody_makes_can_be_changed() -> None:
    """It is callers that break, not contracts."""
    assert compared(shelf(plain), shelf(more), sites={}) == []


def test_without_a_source_whoever_declares_the_use_counts_as_a_caller() -> None:
    """As of a running system, which has contracts and `uses`, and no files."""
    calls = {"find": shelf(plain)["books.find"]}
    modules = {"books": Part(calls=calls), "shop": Part(uses=("books",)), "mail": Part()}
    release = Release(app="a", version="1", file="", python="", modules=modules)
    assert sites.contracts_of(release) == shelf(plain)
    by_uses = sites.sites_by_uses(release)
    assert by_uses == {"books.find": {"shop": ""}}
    finding = compared(shelf(plain), shelf(more), sites=by_uses)[0]
    assert finding.message.endswith("that breaks `shop` (main)")


# A real repository


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Conduit in a folder of a repository, with one commit that is tagged `deployed`."""
    git(tmp_path, "init", "--quiet")
    folder = conduit(tmp_path)
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    git(tmp_path, "tag", "deployed")
    return folder


def change(folder: Path, file: str, *replaced: tuple[str, str]) -> None:
    text = (folder / file).read_text()
    for old, new in replaced:
        assert old in text
        text = text.replace(old, new)
    (folder / file).write_text(text)


def told(report: Report) -> Iterable[str]:
    return [f"{each.code} {each.message}" for each in (*report.new, *report.notes)]


def test_the_callers_are_those_of_the_revision(repository: Path) -> None:
    """This version's code has been changed along with the call, so in it nobody is broken; the deployed one has not. A call that a
    helper of the face makes is made where the helper runs."""
    change(
        repository,
        "conduit/accounts/api.py",
        ("async def person_named(", "async def person_called("),
        ("async def public_key()", "async def public_key(kind: str)"),
        ("await public_key()", "await public_key('ed')"),
    )
    for file in ("conduit/social/api.py", "conduit/feed/api.py"):
        change(repository, file, ("person_named(", "person_called("))
    report = against.report(repository / "ramet.toml", "deployed")
    removed, changed = report.new
    assert removed.message.startswith("`accounts.person_named` was removed; that breaks `feed` (conduit/feed/api.py:")
    assert "`social` (conduit/social/api.py:130 of deployed)" in removed.message
    assert changed.message.startswith("`accounts.public_key` was changed: kind: the callee requires it")
    assert "`articles` (conduit/articles/api.py:" in changed.message
    assert changed.change == "give `kind` a default; callers that do not know it then get that"
    assert [note.code for note in report.notes] == ["RM721"]
    assert "release `accounts` before `feed`, `social`" in report.notes[0].change


def test_the_working_tree_is_left_as_it_is(repository: Path) -> None:
    """It may hold work of hours. Nothing of the comparison stays in the repository either."""
    change(repository, "conduit/accounts/api.py", ("async def person_named(", "async def person_called("))
    for file in ("conduit/social/api.py", "conduit/feed/api.py"):
        change(repository, file, ("person_named(", "person_called("))
    text = (repository / "conduit/accounts/api.py").read_text()
    against.report(repository / "ramet.toml", "HEAD")
    assert (repository / "conduit/accounts/api.py").read_text() == text
    listed = subprocess.run(["git", "worktree", "list"], cwd=repository, check=True, capture_output=True, text=True).stdout
    assert len(listed.splitlines()) == 1


@pytest.mark.parametrize(
    ("revision", "says", "hint"),
    [
        ("deplyed", "there is no revision `deplyed`", "did you mean `deployed`?"),
        ("--output=x", "there is no revision `--output=x`", "git log"),
        ("", "there is no revision ``", "git log"),
    ],
)
def test_a_revision_that_is_not_there_is_an_error_with_a_hint(repository: Path, revision: str, says: str, hint: str) -> None:
    """An option of git is a revision that is not there, and nothing else."""
    with pytest.raises(ConfigError, match=says) as caught:
        against.report(repository / "ramet.toml", revision)
    assert caught.value.hint == hint


def test_a_version_that_does_not_import_is_an_error_with_its_place(repository: Path) -> None:
    """In the file of that version, not a traceback of ours."""
    write(repository, {"conduit/feed/handlers.py": "import nothing_of_this_name\n"})
    with pytest.raises(ConfigError, match="the working tree does not import: ") as caught:
        against.report(repository / "ramet.toml", "HEAD")
    assert caught.value.where == f"{repository}/conduit/feed/handlers.py:1"


def test_a_revision_that_does_not_import_is_an_error_with_the_reason_once_and_its_place_in_the_revision(repository: Path) -> None:
    """It was looked at in a folder that is gone when somebody reads of it."""
    write(repository, {"conduit/feed/handlers.py": "import nothing_of_this_name\n"})
    git(repository, "add", "--all", ".")
    git(repository, "commit", "--quiet", "-m", "broken")
    (repository / "conduit/feed/handlers.py").unlink()
    with pytest.raises(ConfigError) as caught:
        against.report(repository / "ramet.toml", "HEAD")
    error = caught.value
    assert error.message.startswith("HEAD does not import: conduit.feed.handlers does not import: ModuleNotFoundError: ")
    assert str(error).count("RM201") == 1
    assert error.where == "HEAD:conduit/conduit/feed/handlers.py:1"
    assert error.hint == "compare with a revision that is whole, or correct what HEAD lacks, such as a library"


def test_a_revision_whose_packages_are_not_there_says_so_of_the_revision(repository: Path) -> None:
    """Before anything of it is imported."""
    (repository / "conduit/feed").rename(repository / "feed")
    git(repository, "add", "--all", ".")
    git(repository, "commit", "--quiet", "-m", "moved")
    (repository / "feed").rename(repository / "conduit/feed")
    with pytest.raises(ConfigError, match="there is no package conduit.feed") as caught:
        against.report(repository / "ramet.toml", "HEAD")
    assert caught.value.where == "HEAD:conduit"


def test_a_hook_of_another_repository_compares_with_this_one(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """git gives a hook GIT_DIR, which means more to it than the folder."""
    monkeypatch.setenv("GIT_DIR", str(repository / "nowhere"))
    assert against.report(repository / "ramet.toml", "HEAD").new == ()


def test_without_git_it_says_so(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))
    with pytest.raises(ConfigError, match="git cannot be run: No such file") as caught:
        against.report(repository / "ramet.toml", "HEAD")
    assert caught.value.hint == "is it installed, and on the PATH?"


def test_a_revision_without_the_application_is_an_error(repository: Path) -> None:
    """It was begun later, or stood elsewhere."""
    git(repository, "rm", "--quiet", "--cached", "ramet.toml")
    git(repository, "commit", "--quiet", "-m", "without")
    with pytest.raises(ConfigError, match="there is no ramet.toml in HEAD"):
        against.report(repository / "ramet.toml", "HEAD")


def test_a_layout_with_src_is_compared_with_the_src_of_the_revision(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working tree's is on the import path, as an editable installation or PYTHONPATH puts it there; it must not be taken for
    both versions."""
    (repository / "src").mkdir()
    (repository / "conduit").rename(repository / "src/conduit")
    git(repository, "add", "--all", ".")
    git(repository, "commit", "--quiet", "-m", "src")
    monkeypatch.setenv("PYTHONPATH", str(repository / "src"))
    monkeypatch.syspath_prepend(repository / "src")
    change(repository, "src/conduit/accounts/api.py", ("async def persons(ids: list[int])", "async def persons(ids: list[str])"))
    (finding,) = against.report(repository / "ramet.toml", "HEAD").new
    assert finding.message.startswith("`accounts.persons` was changed: ids[]: int is sent, the reader expects str")
    assert finding.file == "src/conduit/accounts/api.py"


def test_a_folder_without_a_repository_is_an_error(tmp_path: Path) -> None:
    """There is nothing to compare with."""
    folder = conduit(tmp_path)
    with pytest.raises(ConfigError, match="is in no git repository"):
        against.report(folder / "ramet.toml", "HEAD")
