"""What the rules on functions see and what they must not: transactions, state, tables, names that hide others."""

import textwrap
from pathlib import Path

import pytest

from ramet.check.facts import Table
from ramet.check.reading import read
from ramet.check.sql import looks_like_sql, tables
from tests.check.support import check_application, check_package, codes, told, write

TOML = '[app]\nname = "shop"\nmodules = ["shop.a", "shop.b"]\n'
B = """
    from shop.b import deep
    from ramet import Module
    module = Module("b")
    db = module.database()
    class Item: ...
    @module.expose
    async def call() -> None: ...
    async def helper() -> None:
        await call()
    def plain() -> None: ...
    async def far() -> None:
        await deep.further()
    """
A = """
    import asyncio
    from shop.a import inner
    from shop.b import api as b
    from shop.b.api import call
    from ramet import Module
    module = Module("a", uses=["b"])
    db = module.database()
    """


def shop(folder: Path, body: str, *, inner: str = "") -> Path:
    """Two modules; `body` is the end of the face of the first."""
    return write(
        folder,
        {
            "ramet.toml": TOML,
            "shop/__init__.py": "",
            "shop/common.py": "from shop.b.api import call\nasync def shared():\n    await call()\n",
            "shop/a/__init__.py": "",
            "shop/a/inner.py": inner,
            "shop/a/api.py": textwrap.dedent(A) + textwrap.dedent(body),
            "shop/b/__init__.py": "",
            "shop/b/deep.py": "from shop.b import api\nasync def further():\n    await api.call()\n",
            "shop/b/api.py": B,
        },
    )


IN_TRANSACTION: dict[str, str] = {
    "in a block that writes": "async def f():\n    async with db.write() as tx:\n        await b.call()\n",
    "in a block that reads": "async def f():\n    async with db.read():\n        await call()\n",
    "in a session": "async def f():\n    async with db.session() as s:\n        await b.call()\n",
    "in a block with a key": "async def f(k):\n    async with db.write(k, isolation='serializable') as tx:\n        await b.call()\n",
    "in a savepoint": "async def f(tx):\n    async with tx.transaction():\n        await b.call()\n",
    "below an if in the block": "async def f():\n    async with db.write() as tx:\n        if tx:\n            for x in []:\n                await b.call()\n",
    "in the statement's arguments": "async def f():\n    async with db.write() as tx:\n        await tx.execute('SELECT 1', await b.call())\n",
    "gathered": "async def f():\n    async with db.write():\n        await asyncio.gather(b.call(), b.call())\n",
    "in a comprehension": "async def f():\n    async with db.write():\n        return [await b.call() for _ in range(3)]\n",
    "with another block": "async def f(lock):\n    async with lock, db.write():\n        await b.call()\n",
    "by way of a function": "async def g():\n    await b.call()\nasync def f():\n    async with db.write():\n        await g()\n",
    "by way of two": "async def h():\n    await b.call()\nasync def g():\n    await h()\nasync def f():\n    async with db.write():\n        await g()\n",
    "by way of a method": "class S:\n    async def g(self):\n        await b.call()\n    async def f(self):\n        async with db.write():\n            await self.g()\n",
    "by way of an inner function": "async def f():\n    async def g():\n        await b.call()\n    async with db.write():\n        await g()\n",
    "by way of a helper of the other face": "async def f():\n    async with db.write():\n        await b.helper()\n",
    "by way of the other module's inner file": "async def f():\n    async with db.write():\n        await b.far()\n",
    "by way of shared code": "from shop import common\nasync def f():\n    async with db.write():\n        await common.shared()\n",
    "work of db.run": "async def work(tx):\n    await b.call()\nasync def f():\n    await db.run(work)\n",
    "by way of functions in a circle": "async def g(n):\n    await h(n)\n    await b.call()\nasync def h(n):\n    await g(n)\nasync def e():\n    async with db.write():\n        await h(1)\n",
    "a task that is made in it": "async def f():\n    async with db.write():\n        asyncio.create_task(b.call())\n",
}
NOT_IN_TRANSACTION: dict[str, str] = {
    "before and after the block": "async def f():\n    await b.call()\n    async with db.write():\n        pass\n    await b.call()\n",
    "as an argument of the block": "async def f():\n    async with db.write(await b.call()):\n        pass\n",
    "a single statement": "async def f():\n    await db.write().execute('SELECT 1', await b.call())\n",
    "a type of the face": "async def f():\n    async with db.write():\n        return b.Item()\n",
    "a function of the face that calls nothing": "async def f():\n    async with db.write():\n        b.plain()\n",
    "an own call": "@module.expose\nasync def own() -> None: ...\nasync def f():\n    async with db.write():\n        await own()\n",
    "a function that is only defined in the block": "async def f():\n    async with db.write():\n        async def later():\n            await b.call()\n    return later\n",
    "a parameter of that name": "async def f(b):\n    async with db.write():\n        await b.call()\n",
    "a variable of that name": "async def f(x):\n    b = x\n    async with db.write():\n        await b.call()\n",
    "another block": "async def f(lock):\n    async with lock:\n        await b.call()\n",
    "a file that is read": "async def f(file):\n    with file.read():\n        await b.call()\n",
    "a method of another object": "class S:\n    async def g(self):\n        await b.call()\nasync def f(s):\n    async with db.write():\n        await s.g()\n",
}


@pytest.mark.parametrize("name", IN_TRANSACTION)
def test_a_call_in_a_transaction_is_found(name: str, tmp_path: Path) -> None:
    """Once, whatever the way."""
    found = codes(check_application(shop(tmp_path, IN_TRANSACTION[name])))
    assert [code for code in found if code != "RM702"] == ["RM105"]


@pytest.mark.parametrize("name", NOT_IN_TRANSACTION)
def test_what_is_no_call_in_a_transaction_is_not_found(name: str, tmp_path: Path) -> None:
    """A rule that cries wolf is waived, and then nobody reads it."""
    assert codes(check_application(shop(tmp_path, NOT_IN_TRANSACTION[name]))) == []


CHANGED: dict[str, str] = {
    "an item is set": "x = {}\ndef f():\n    x[1] = 2\n",
    "an item of an item is set": "x = {}\ndef f():\n    x[1][2] = 3\n",
    "an item is counted up": "x = dict()\ndef f():\n    x['a'] += 1\n",
    "an item is deleted": "x = {}\ndef f():\n    del x[1]\n",
    "a list is appended to": "x = []\ndef f():\n    x.append(1)\n",
    "a list in a dict is appended to": "x = {}\ndef f():\n    x[1].append(1)\n",
    "a set is added to": "x: set[int] = set()\nasync def f():\n    x.add(1)\n",
    "a deque of a library": "import collections\nx = collections.deque(maxlen=3)\ndef f():\n    x.popleft()\n",
    "a default dict": "from collections import defaultdict\nx = defaultdict(list)\ndef f():\n    x[1].append(1)\n",
    "a number is counted up": "x = 0\ndef f():\n    global x\n    x += 1\n",
    "a counter of itertools": "import itertools\nx = itertools.count()\ndef f():\n    return next(x)\n",
    "a dict is made anew": "x = {}\ndef f():\n    global x\n    x |= {1: 2}\n",
    "a method changes it": "x = []\nclass A:\n    def f(self):\n        x.append(self)\n",
    "an inner function changes it": "x = []\ndef f():\n    def g():\n        x.append(1)\n    return g\n",
    "a lambda changes it": "x = []\ndef f():\n    return lambda: x.append(1)\n",
    "a registry of an object that is made at import": "x = {}\nclass R:\n    def add(self, n):\n        x[n] = 1\nr = R()\ndef f(n):\n    r.add(n)\n",
    "a registry that a request fills": "x = {}\ndef add(n):\n    x[n] = 1\nadd('a')\ndef f(n):\n    add(n)\n",
}
NOT_CHANGED: dict[str, str] = {
    "a constant": "x = {1: 2}\ndef f():\n    return x[1]\n",
    "a copy": "x = {1: 2}\ndef f():\n    return {**x, 2: 3}\n",
    "a parameter of that name": "x = []\ndef f(x):\n    x.append(1)\n",
    "a variable of that name": "x = []\ndef f():\n    x = []\n    x.append(1)\n",
    "a variable of that name that is counted": "x = 0\ndef f():\n    x = 1\n    x += 1\n",
    "a variable of an outer function": "x = []\ndef f():\n    x = []\n    def g():\n        x.append(1)\n",
    "an attribute of that name": "x = []\nclass A:\n    def f(self):\n        self.x.append(1)\n",
    "it is filled at the top level": "x = {}\nx[1] = 2\nfor y in range(3):\n    x[y] = y\n",
    "a registry that decorators fill": "x = {}\ndef register(f):\n    x[f.__name__] = f\n    return f\n@register\ndef f(): ...\n",
    "a registry that is filled at import": "x = {}\ndef add(n):\n    x[n] = 1\nadd('a')\n",
    "a text": "x = 'a'\ndef f():\n    return x.count('a')\n",
    "what is made once and kept": "x = None\ndef f():\n    global x\n    x = x or object()\n    return x\n",
    "a cache of functools": "import functools\n@functools.cache\ndef f(): ...\n",
    "a local of a loop": "x = []\ndef f():\n    for x in []:\n        x.append(1)\n",
}


@pytest.mark.parametrize("name", CHANGED)
def test_state_that_functions_change_is_found(name: str, tmp_path: Path) -> None:
    """At its own line, which is where a waiver stands."""
    write(tmp_path, {"shop/__init__.py": CHANGED[name]})
    report = check_package("shop", tmp_path)
    line = next(number for number, text in enumerate(CHANGED[name].splitlines(), 1) if text.startswith(("x =", "x:")))
    assert told(report) == [f"RM705 shop/__init__.py:{line}"]


@pytest.mark.parametrize("name", NOT_CHANGED)
def test_state_that_no_function_changes_is_not_found(name: str, tmp_path: Path) -> None:
    """Constants, locals, and what is the same in each instance."""
    write(tmp_path, {"shop/__init__.py": NOT_CHANGED[name]})
    assert codes(check_package("shop", tmp_path)) == []


STATEMENTS: dict[str, tuple[str, set[str], set[str]]] = {
    "a join": ("SELECT * FROM a JOIN s.b ON a.x = b.x", {".a", "s.b"}, set()),
    "a sub-select": ("SELECT (SELECT max(x) FROM b) FROM a WHERE x IN (SELECT x FROM c)", {".a", ".b", ".c"}, set()),
    "a common table": ("WITH n AS (SELECT * FROM a) SELECT * FROM n", {".a"}, set()),
    "one with columns": ("WITH RECURSIVE n (x) AS (SELECT 1 UNION SELECT x FROM n) SELECT * FROM n, b", {".b"}, set()),
    "one that writes": ("WITH n AS (DELETE FROM a RETURNING *) INSERT INTO b SELECT * FROM n", {".a", ".b"}, set()),
    "functions": ("SELECT * FROM unnest($1::int[]) WITH ORDINALITY AS u (x, n), generate_series(1, 2)", set(), set()),
    "an upsert": ("INSERT INTO a AS t (x) VALUES ($1) ON CONFLICT (x) DO UPDATE SET y = t.y + 1", {".a"}, set()),
    "an update of another": ("UPDATE a SET x = b.x FROM b WHERE a.y = b.y", {".a", ".b"}, set()),
    "quoted names": ('SELECT * FROM "A" JOIN Bc ON true', {".A", ".bc"}, set()),
    "a lock": ("SELECT * FROM a FOR UPDATE SKIP LOCKED", {".a"}, set()),
    "a table is made": (
        "CREATE TABLE IF NOT EXISTS a (x int REFERENCES b (y), FOREIGN KEY (x) REFERENCES s.c)",
        {".b", "s.c"},
        {".a"},
    ),
    "several": ("CREATE TABLE a (x int); CREATE INDEX i ON a (x); DROP TABLE b", {".a", ".b"}, {".a"}),
    "a comment before": ("-- why\n/* more */ SELECT * FROM a", {".a"}, set()),
    "parameters of other drivers": ("SELECT * FROM a WHERE x = %s AND y = :y AND z = %(z)s", {".a"}, set()),
    "gaps": ("SELECT \0 FROM a WHERE \0 ORDER BY \0 \0", {".a"}, set()),
    "a gap for the table": ("SELECT x FROM \0 JOIN a ON true", {".a"}, set()),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_the_tables_of_a_statement(name: str) -> None:
    """As `schema.name`."""
    text, used, created = STATEMENTS[name]
    assert looks_like_sql(text)
    found_used, found_created, problem = tables(text)
    assert {f"{each.schema}.{each.name}" for each in found_used} == used
    assert {f"{each.schema}.{each.name}" for each in found_created} == created
    assert not problem


@pytest.mark.parametrize(
    "text", ["Select one of these", "update the users", "with care", "Delete it from there", "copyright", "inserted into a"]
)
def test_a_sentence_is_no_statement_that_names_a_table(text: str) -> None:
    """Messages to people have the same words."""
    assert not looks_like_sql(text) or not tables(text)[0]


TEXTS: dict[str, str] = {
    "a literal": "db.fetch('SELECT x FROM theirs')",
    "a constant": "Q = 'SELECT x FROM theirs'\ndb.fetch(Q)",
    "an f-string": "def f(n): db.fetch(f'SELECT {n} FROM theirs WHERE {n:>3}')",
    "an f-string of constants": "T = 'theirs'\ndef f(): return db.fetch(f'SELECT x FROM {T}')",
    "a sum": "def f(w): db.fetch('SELECT x ' + 'FROM theirs ' + w)",
    "a format": "def f(w): db.fetch('SELECT {{x}} FROM theirs WHERE {}'.format(w))",
    "a percent": "def f(w): db.fetch('SELECT x FROM theirs WHERE %s' % w)",
    "a keyword": "def f(): db.fetch(query='SELECT x FROM theirs')",
    "text() of SQLAlchemy": "from sqlalchemy import text\ndef f(s): s.execute(text('SELECT x FROM theirs'))",
    "what is returned": "def f(): return 'SELECT x FROM theirs'",
    "a default": "def f(q='SELECT x FROM theirs'): ...",
    "an operation of Alembic": "op.add_column('theirs', sa.Column('x'))",
    "a foreign key of Alembic": "op.create_foreign_key('n', 'mine', 'theirs', ['x'], ['y'])",
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_table_is_found_wherever_its_name_is_written(name: str) -> None:
    """As far as a text can be put together without running it."""
    facts = read(TEXTS[name].encode(), "shop.a", is_package=False)
    assert Table("", "theirs") in {table for statement in facts.statements for table in statement.uses}


@pytest.mark.parametrize(
    "text",
    [
        "def f():\n    '''SELECT x FROM theirs'''",
        "'''SELECT x FROM theirs'''",
        "class A:\n    '''DELETE FROM theirs'''",
        "raise ValueError('DELETE FROM theirs')",
        "# SELECT x FROM theirs",
    ],
)
def test_what_is_for_people_is_no_statement(text: str) -> None:
    """Docstrings, errors, comments."""
    assert read(text.encode(), "shop.a", is_package=False).statements == ()


@pytest.mark.parametrize(
    ("made", "used"),
    [
        ("class U:\n    __tablename__ = 'users'\n", "import sqlalchemy as sa\nc = sa.ForeignKey('users.id')\n"),
        ("import sqlalchemy as sa\nt = sa.Table('users', m)\n", "Q = 'SELECT 1 FROM users'\n"),
        ("class U:\n    class Meta:\n        db_table = 'users'\n", "Q = 'SELECT 1 FROM users'\n"),
        ("op.create_table('users')\n", "op.drop_table('users')\n"),
        ("Q = 'CREATE TABLE users (x int)'\n", "Q = 'TRUNCATE users'\n"),
    ],
)
def test_an_unchanged_package_owns_the_tables_that_it_makes(made: str, used: str, tmp_path: Path) -> None:
    """By SQLAlchemy, Django, Alembic or SQL."""
    write(tmp_path, {"shop/__init__.py": "", "shop/a/__init__.py": made, "shop/b/__init__.py": used})
    assert codes(check_package("shop", tmp_path)) == ["RM704"]


def test_a_table_that_both_make_belongs_to_each(tmp_path: Path) -> None:
    """Each has one of that name in its own schema."""
    both = "Q = 'CREATE TABLE log (x int)'\nR = 'SELECT x FROM log'\n"
    write(tmp_path, {"shop/__init__.py": "", "shop/a/__init__.py": both, "shop/b/__init__.py": both})
    assert codes(check_package("shop", tmp_path)) == []


def test_tests_are_left_out(tmp_path: Path) -> None:
    """They reach where they want."""
    write(tmp_path, {"shop/__init__.py": "", "shop/a/__init__.py": "x = 1\n", "shop/a/inner.py": ""})
    write(
        tmp_path,
        {
            f"shop/{path}": "from shop.a import inner\n"
            for path in ("tests/__init__.py", "test_a.py", "conftest.py", "b/tests/c.py")
        },
    )
    assert codes(check_package("shop", tmp_path)) == []


def test_a_name_that_a_package_binds_hides_the_file_of_that_name(tmp_path: Path) -> None:
    """`from shop.a import run` is the function that `shop.a` offers, though there is a file `run.py` too."""
    write(
        tmp_path,
        {
            "shop/__init__.py": "",
            "shop/a/__init__.py": "from shop.a.run import run\n",
            "shop/a/run.py": "def run(): ...\n",
            "shop/b/__init__.py": "from shop.a import run\n",
        },
    )
    assert codes(check_package("shop", tmp_path)) == []
