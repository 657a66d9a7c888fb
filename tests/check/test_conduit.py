"""Conduit is clean, and each violation that is planted in a copy of it is found, and nothing else."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from ramet.check import rules
from tests.check.support import check_application, conduit, told, write

ARTICLES, SOCIAL, ACCOUNTS, FEED = (f"conduit/{name}/api.py" for name in ("articles", "social", "accounts", "feed"))
END = "\n\n\n"


@dataclass(frozen=True)
class Plant:
    """adds: file -> text that is put at its end, or all of a new file. replaces: (file, old, new). marked: the line that is told ends in it."""

    code: str
    says: str
    adds: tuple[tuple[str, str], ...] = ()
    replaces: tuple[tuple[str, str, str], ...] = ()
    marked: str = "# here"
    change: str = ""


PLANTS: dict[str, Plant] = {
    "an inner file is imported": Plant(
        "RM701",
        "imports conduit.accounts.tokens, an inner file of `accounts`",
        adds=((ARTICLES, "from conduit.accounts import tokens  # here\n"),),
        change="from conduit.accounts import api as accounts",
    ),
    "an inner file is imported in a function": Plant(
        "RM701",
        "imports conduit.accounts.tokens",
        adds=(
            (
                ARTICLES,
                "def now(token):\n    import conduit.accounts.tokens as inner  # here\n    return inner.user_of(token, '')\n",
            ),
        ),
    ),
    "an inner file is imported for a type": Plant(
        "RM701",
        "imports conduit.articles.store",
        adds=(
            (FEED, "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from conduit.articles.store import page  # here\n"),
        ),
    ),
    "an inner file is imported by name": Plant(
        "RM701",
        "imports conduit.accounts.tokens",
        adds=((ARTICLES, "import importlib\ntokens = importlib.import_module('conduit.accounts.tokens')  # here\n"),),
    ),
    "an inner file is imported beside the modules": Plant(
        "RM701",
        "imports conduit.accounts.passwords",
        adds=(("conduit/http.py", "from conduit.accounts.passwords import hash_of  # here\n"),),
    ),
    "the face is a way through": Plant(
        "RM701",
        "goes through the face of `accounts` to conduit.accounts.tokens",
        adds=((ARTICLES, "def key():\n    return accounts.tokens.new_key()  # here\n"),),
    ),
    "a private name": Plant(
        "RM701",
        "takes `_person`, a private name of `social`",
        adds=((ARTICLES, "async def other(name: str):\n    return await social._person(name)  # here\n"),),
    ),
    "the database of another module": Plant(
        "RM701",
        "takes `db`, the database of `social`",
        adds=((ARTICLES, "from conduit.social.api import db as theirs  # here\n"),),
    ),
    "a use that is not declared": Plant(
        "RM103",
        "`feed` imports `social`, which its `uses` does not list",
        replaces=((FEED, 'uses=["accounts", "articles", "social"]', 'uses=["accounts", "articles"]'),),
        marked="from conduit.social import api as social",
        change='Module("feed", uses=["accounts", "articles", "social"]) at conduit/feed/api.py:',
    ),
    "a use that nothing needs": Plant(
        "RM703",
        "`accounts` declares that it uses `feed`, and nothing in it imports that",
        replaces=((ACCOUNTS, 'module = Module("accounts")', 'module = Module("accounts", uses=["feed"])  # here'),),
    ),
    "a use of no module": Plant(
        "RM703",
        "uses `artcles`, which is no module here",
        replaces=((ACCOUNTS, 'module = Module("accounts")', 'module = Module("accounts", uses=["artcles"])  # here'),),
        change="did you mean `articles`?",
    ),
    "a circle": Plant(
        "RM702",
        "articles -> social -> articles: each imports the next",
        adds=((SOCIAL, "from conduit.articles import api as others  # here\n"),),
        replaces=((SOCIAL, 'uses=["accounts"]', 'uses=["accounts", "articles"]'),),
    ),
    "a call in a transaction": Plant(
        "RM105",
        "`both` calls `social.followed_by` inside the transaction",
        adds=(
            (
                ARTICLES,
                "async def both():\n    async with db.write() as tx:\n        await social.followed_by(1)  # here\n        await tx.execute('DELETE FROM tags')\n",
            ),
        ),
    ),
    "a call in a transaction, of a name that was imported": Plant(
        "RM105",
        "`both` calls `social.followed_by`",
        adds=(
            (
                ARTICLES,
                "from conduit.social.api import followed_by\nasync def both():\n    async with db.read():\n        return await followed_by(1)  # here\n",
            ),
        ),
    ),
    "a call in a transaction, by way of a function": Plant(
        "RM105",
        "opens, by way of `_profile`, `_profiles`",
        adds=((ARTICLES, "async def both():\n    async with db.write():\n        return await _profile(1, 2)  # here\n"),),
    ),
    "a call in a transaction, by way of a helper of another module": Plant(
        "RM105",
        "calls `accounts.public_key`",
        adds=(
            (
                ARTICLES,
                "async def both():\n    async with db.write():\n        return await accounts.user_of('Token a')  # here\n",
            ),
        ),
        marked="# here",
    ),
    "a call in a transaction that db.run runs": Plant(
        "RM105",
        "`both.work` calls `social.followed_by`",
        adds=(
            (
                ARTICLES,
                "async def both():\n    async def work(tx):\n        await social.followed_by(1)  # here\n    await db.run(work)\n",
            ),
        ),
    ),
    "another module's schema": Plant(
        "RM704",
        "`feed` names the table `articles.comments`, which belongs to `articles`",
        adds=(
            (FEED, "async def count():\n    return await db.read().fetchval('SELECT count(*) FROM articles.comments')  # here\n"),
        ),
    ),
    "another module's table": Plant(
        "RM704",
        "`social` names the table `users`, which belongs to `accounts`",
        adds=(
            (
                SOCIAL,
                "async def names():\n    return await db.read().fetch('SELECT f.* FROM follows f JOIN users u ON u.id = f.follower_id')  # here\n",
            ),
        ),
    ),
    "another module's table in a constant of parts": Plant(
        "RM704",
        "`articles` names the table `favorites`, which belongs to `social`",
        adds=(
            (
                "conduit/articles/store.py",
                "LIKED = f'SELECT {SUMMARY} FROM articles WHERE id IN (' + 'SELECT article_id FROM favorites)'  # here\n",
            ),
        ),
    ),
    "another module's table in a migration": Plant(
        "RM704",
        "`feed` names the table `users`, which belongs to `accounts`",
        adds=(
            (
                "conduit/feed/migrations/versions/0002_names.py",
                "from alembic import op\nrevision = '0002'\ndown_revision = '0001'\ndef upgrade():\n    op.execute('ALTER TABLE readings ADD FOREIGN KEY (reader_id) REFERENCES users (id)')  # here\n",
            ),
        ),
    ),
    "another module's table as a foreign key of SQLAlchemy": Plant(
        "RM704",
        "`feed` names the table `users`, which belongs to `accounts`",
        adds=((FEED, "import sqlalchemy as sa\nreader = sa.Column('reader_id', sa.ForeignKey('users.id'))  # here\n"),),
    ),
    "a dict that a function fills": Plant(
        "RM705",
        "`seen` is a dict that `look` changes",
        adds=(
            (
                FEED,
                "seen: dict[int, int] = {}  # here\ndef look(reader: int) -> None:\n    seen[reader] = seen.get(reader, 0) + 1\n",
            ),
        ),
    ),
    "a counter": Plant(
        "RM705",
        "`total` is a counter that `count` changes",
        adds=((FEED, "total = 0  # here\ndef count() -> None:\n    global total\n    total += 1\n"),),
    ),
    "a list that another file appends to": Plant(
        "RM705",
        "`RECENT` is a list that `look` in conduit/articles/api.py changes",
        adds=(
            ("conduit/articles/store.py", "RECENT = []  # here\n"),
            (ARTICLES, "def look(slug: str) -> None:\n    store.RECENT.append(slug)\n"),
        ),
    ),
    "an import against the layers": Plant(
        "RM706",
        "conduit.social imports conduit.accounts.api, against `layers` of [check] in ramet.toml",
        adds=(("ramet.toml", '\n[check]\nlayers = ["feed", "articles", "accounts", "social"]\n'),),
        marked="from conduit.accounts import api as accounts",
    ),
    "a name that is not public": Plant(
        "RM707",
        "`MAX_LIMIT` is not public in `feed`: [check.public] in ramet.toml lists Window",
        adds=(
            ("ramet.toml", '\n[check.public]\nfeed = ["Window"]\n'),
            ("conduit/http.py", "from conduit.feed.api import MAX_LIMIT, Window  # here\n"),
        ),
    ),
    "an import that import-linter forbids": Plant(
        "RM708",
        "conduit.social imports conduit.failures, against `lonely` of .importlinter",
        adds=(
            (
                ".importlinter",
                "[importlinter]\nroot_package = conduit\n[importlinter:contract:1]\nname = lonely\ntype = forbidden\nsource_modules = conduit.social\nforbidden_modules = conduit.failures\n",
            ),
        ),
        marked="from conduit.failures import NotFound, Unauthorized",
    ),
    "a module that declares none": Plant(
        "RM709",
        "the package conduit.mail declares no `Module('mail')`",
        adds=(("conduit/mail/__init__.py", '"""Letters."""  # here\n'),),
        replaces=(
            ("ramet.toml", '"conduit.feed"]', '"conduit.feed", "conduit.mail"]'),
            ("ramet.toml", '["articles", "social"]', '["*"]'),
        ),
    ),
    "an import that is computed": Plant(
        "RM710",
        "what this imports is computed",
        adds=((FEED, "import importlib\ndef load(name: str):\n    return importlib.import_module(f'conduit.{name}')  # here\n"),),
    ),
    "uses that are computed": Plant(
        "RM710",
        "the `uses` of `accounts` is computed",
        replaces=((ACCOUNTS, 'module = Module("accounts")', 'module = Module("accounts", uses=list())  # here'),),
    ),
    "uses that may be among options": Plant(
        "RM710",
        "the `uses` of `accounts` is computed",
        replaces=((ACCOUNTS, 'module = Module("accounts")', 'module = Module("accounts", **dict())  # here'),),
    ),
    "a syntax error": Plant("RM711", "nothing in it was checked: ", adds=(("conduit/broken.py", "x = 1\ndef (  # here\n"),)),
    "a waiver of nothing": Plant(
        "RM712",
        "there is no finding RM704 on this line",
        adds=((FEED, "LIMIT = 3  # ramet: allow RM704 because of history\n"),),
        marked="history",
    ),
    "SQL that nobody reads": Plant(
        "RM713",
        "this statement was not read",
        adds=((FEED, "async def odd():\n    await db.write().execute('SELECT FROM WHERE')  # here\n"),),
    ),
}


def plant(folder: Path, case: Plant) -> None:
    for path, old, new in case.replaces:
        text = (folder / path).read_text()
        assert old in text
        (folder / path).write_text(text.replace(old, new))
    for path, text in case.adds:
        file = folder / path
        write(folder, {path: file.read_text() + (END if file.suffix == ".py" else "") + text if file.exists() else text})


def test_conduit_is_clean(tmp_path: Path) -> None:
    """With one waiver, which says why."""
    report = check_application(conduit(tmp_path))
    assert told(report) == []
    assert [each.code for each in report.waived] == ["RM705"]
    assert (report.modules, report.gone) == (4, ())


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_violation_is_found_and_nothing_else(name: str, tmp_path: Path) -> None:
    """At its line, with what is wrong, why that matters apart, and what to change."""
    case = PLANTS[name]
    folder = conduit(tmp_path)
    plant(folder, case)
    report = check_application(folder)
    found = (*report.new, *report.notes)
    assert [each.code for each in found] == [case.code], [f"{each.where} {each.code} {each.message}" for each in found]
    (finding,) = found
    assert case.says in finding.message
    assert case.change in finding.change
    assert finding.change
    assert finding.rule.why
    assert case.marked in (folder / finding.file).read_text().splitlines()[finding.line - 1]


def test_every_rule_of_the_source_has_a_planted_violation() -> None:
    """A rule that nothing breaks here may find nothing anywhere. Those of `--against` have a table of their own."""
    assert {case.code for case in PLANTS.values()} == {rule.code for rule in rules.RULES} - {"RM720", "RM721"}
