"""`pytest --ramet-changed REF` on a real repository: what is run after each kind of change, and that nothing else is left out."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.testing.app import Project, write

pytestmark = pytest.mark.timeout(120)

MODULE = """
from ramet import Module
{imports}

module = Module("{name}", uses={uses})


@module.get("/{name}")
async def read() -> int:
    return 1
"""


def face(name: str, *uses: str, also: str = "") -> str:
    imports = "\n".join([*(f"from shop.{used} import api as {used}" for used in uses), also])
    return MODULE.format(name=name, uses=list(uses), imports=imports)


def test_of(module: str) -> str:
    return f"from shop.{module} import api\n\ndef test_it():\n    assert api.module\n"


test_of.__test__ = False  # type: ignore[attr-defined]

FILES = {
    "ramet.toml": '[app]\nname = "shop"\nmodules = ["shop.accounts", "shop.articles", "shop.feed", "shop.prices", "shop.untested"]\n'
    '[http]\nproblems = "shop.problems:render"\n',
    "pytest.ini": "[pytest]\npythonpath = .\n",
    ".gitignore": ".ramet/\n__pycache__/\n.pytest_cache/\nreport.xml\n",
    "README.md": "# Shop\n",
    "shop/__init__.py": "",
    "shop/money.py": "ONE = 1\n",
    "shop/problems.py": "def render(): ...\n",
    "shop/accounts/__init__.py": "",
    "shop/accounts/api.py": face("accounts", also="from shop import money"),
    "shop/accounts/handlers.py": "LOADED = True\n",
    "shop/accounts/old.py": "",
    "shop/accounts/mail.txt": "Dear customer\n",
    "shop/articles/__init__.py": "",
    "shop/articles/api.py": face("articles", "accounts"),
    "shop/feed/__init__.py": "",
    "shop/feed/api.py": face("feed", "articles"),
    "shop/prices/__init__.py": "",
    "shop/prices/api.py": face("prices"),
    "shop/untested/__init__.py": "",
    "shop/untested/api.py": face("untested"),
    "tests/conftest.py": "",
    "tests/helpers.py": "def help(): ...\n",
    "tests/test_accounts.py": test_of("accounts"),
    "tests/test_articles.py": test_of("articles"),
    "tests/test_feed.py": test_of("feed"),
    "tests/test_prices.py": "import pytest\nfrom shop.prices import api\n\n@pytest.mark.ramet('together')\nasync def test_it(): ...\n",
    "tests/test_http.py": "import pytest\n\n@pytest.mark.ramet('together')\nasync def test_it(ramet_http): ...\n",
    "tests/test_computed.py": "import importlib\n\ndef test_it():\n    importlib.import_module('shop.' + 'prices')\n",
    "tests/test_patched.py": "from unittest import mock\n\ndef test_it():\n    mock.patch('shop.feed.api.read')\n",
    "tests/test_helped.py": "import helpers\n\ndef test_it(): ...\n",
    "tests/test_alone.py": "def test_it(): ...\n",
}
ALL = {path.removeprefix("tests/test_").removesuffix(".py") for path in FILES if path.startswith("tests/test_")}
COMPUTED = "computed"
"""It imports by a name that is computed, so it is run with every change."""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(tmp_path_factory.mktemp("repository"), FILES)
    commit(made.folder)
    return made


@pytest.fixture
def shop(repository: Project) -> Iterator[Project]:
    yield repository
    git(repository.folder, "reset", "-q", "--hard", "main")
    git(repository.folder, "clean", "-q", "-f", "-d")


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments], cwd=folder, check=True)


def commit(folder: Path) -> None:
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")


def selected(project: Project, ref: str = "main") -> tuple[set[str], str]:
    """Names of the test files that are left, and what was printed."""
    ran = project.run("--collect-only", "--ramet-changed", ref)
    assert ran.code == 0, ran.text
    files = {line.partition("::")[0] for line in ran.text.splitlines() if "::" in line}
    return {file.removeprefix("tests/test_").removesuffix(".py") for file in files}, ran.text


def append(path: str) -> Callable[[Path], object]:
    return lambda folder: write(folder, {path: FILES.get(path, "") + "\n# changed\n"})


CHANGES = [
    (append("shop/feed/api.py"), {"feed", "http", "patched", COMPUTED}, "a module, and a text that names it"),
    (append("shop/articles/api.py"), {"articles", "feed", "http", "patched", COMPUTED}, "a module reaches those that use it"),
    (append("shop/prices/api.py"), {"prices", "http", COMPUTED}, "and no other"),
    (
        append("shop/accounts/handlers.py"),
        {"accounts", "articles", "feed", "http", "patched", COMPUTED},
        "a file that no import names",
    ),
    (
        append("shop/accounts/mail.txt"),
        {"accounts", "articles", "feed", "http", "patched", COMPUTED},
        "a file of a module, no Python",
    ),
    (
        append("shop/accounts/new.py"),
        {"accounts", "articles", "feed", "http", "patched", COMPUTED},
        "a file that git does not know",
    ),
    (
        lambda folder: (folder / "shop/accounts/old.py").unlink(),
        {"accounts", "articles", "feed", "http", "patched", COMPUTED},
        "a file that is gone",
    ),
    (append("shop/money.py"), {"accounts", "articles", "feed", "http", "patched", COMPUTED}, "a file beside the modules"),
    (append("shop/__init__.py"), ALL - {"helped", "alone"}, "a package that runs before each of its modules"),
    (append("shop/problems.py"), {"http", COMPUTED}, "what ramet.toml names"),
    (append("tests/helpers.py"), {"helped", COMPUTED}, "a helper of tests"),
    (append("tests/test_alone.py"), {"alone", COMPUTED}, "a test"),
    (append("shop/untested/api.py"), {"http", COMPUTED}, "a module without a test of its own"),
    (append("tests/conftest.py"), ALL, "what all tests load"),
    (append("ramet.toml"), ALL, "the application itself"),
    (append("README.md"), ALL, "a file of which nobody knows who reads it"),
    (lambda folder: None, set[str](), "nothing"),
]


@pytest.mark.parametrize(("change", "wanted"), [case[:2] for case in CHANGES], ids=[case[2] for case in CHANGES])
def test_only_tests_that_the_change_can_reach_are_run(shop: Project, change: Callable[[Path], object], wanted: set[str]) -> None:
    """And all of those."""
    change(shop.folder)
    found, text = selected(shop)
    assert found == wanted, text


def test_it_says_what_changed_and_how_many_tests_are_left_out_and_why(shop: Project) -> None:
    append("shop/articles/api.py")(shop.folder)
    _, text = selected(shop)
    assert "ramet: 1 file changed since main, in articles, which feed can reach: 5 tests run, 4 are left out" in text
    left = "accounts.py (1), test_alone.py (1), test_helped.py (1), test_prices.py (1)"
    assert f"ramet: left out, since they reach nothing that changed: test_{left}" in text


def test_with_v_it_says_of_each_file_why_it_is_run(shop: Project) -> None:
    append("shop/feed/api.py")(shop.folder)
    ran = shop.run("-v", "-v", "--collect-only", "--ramet-changed", "main")
    for told in (
        "run: test_feed.py: it reaches feed",
        "run: test_http.py by HTTP: it reaches feed",
        "run: test_computed.py: test_computed.py: line 1 has importlib",
    ):
        assert f"ramet: {told}\n" in ran.text, ran.text


def test_packages_are_found_where_the_tests_import_them_from(tmp_path: Path) -> None:
    """In `src`, which pytest puts on the path; `ramet.toml` is above it."""
    files = {f"src/{path}" if path.startswith("shop/") else path: text for path, text in FILES.items()}
    shop = Project(tmp_path, {**files, "pytest.ini": "[pytest]\npythonpath = src\n"})
    commit(shop.folder)
    for changed in ("api.py", "mail.txt"):  # the second is of the module only where its folder is known
        write(shop.folder, {f"src/shop/accounts/{changed}": FILES[f"shop/accounts/{changed}"] + "\n# changed\n"})
        found, text = selected(shop)
        git(shop.folder, "checkout", "-q", ".")
        assert found == {"accounts", "articles", "feed", "http", "patched", COMPUTED}, text


def test_where_a_package_is_not_found_everything_is_run(tmp_path: Path) -> None:
    """It may be what changed."""
    toml = FILES["ramet.toml"].replace('"shop.untested"', '"shop.missing"')
    shop = Project(tmp_path, {**FILES, "ramet.toml": toml})
    commit(shop.folder)
    append("shop/prices/api.py")(shop.folder)
    found, text = selected(shop)
    assert found == ALL
    assert "ramet: 1 file changed since main: all tests run, because there is no package shop.missing" in text


def test_what_is_behind_a_link_is_a_doubt(shop: Project) -> None:
    """git names the link and not what it leads to, or the other way round."""
    (shop.folder / "tests/linked.py").symlink_to(shop.folder / "shop/prices/api.py")
    write(shop.folder, {"tests/test_linked.py": "import linked\n\ndef test_it(): ...\n"})
    git(shop.folder, "add", "-A")
    git(shop.folder, "commit", "-q", "-m", "linked")
    append("tests/test_alone.py")(shop.folder)
    found, text = selected(shop, "HEAD")
    git(shop.folder, "reset", "-q", "--hard", "HEAD~1")
    assert found == {"alone", "linked", COMPUTED}, text


def test_a_test_that_starts_the_application_stays_with_every_change_of_a_module(shop: Project) -> None:
    """That it still starts, with all modules, is what no test of a single module shows."""
    (shop.folder / "tests/test_http.py").unlink()
    git(shop.folder, "commit", "-q", "-a", "-m", "without")
    append("shop/untested/api.py")(shop.folder)
    found, text = selected(shop, "HEAD")
    git(shop.folder, "reset", "-q", "--hard", "HEAD~1")
    assert found == {"prices", COMPUTED}, text


def test_commits_since_the_reference_count_and_workers_select_alike(shop: Project) -> None:
    """A branch, as in a merge request."""
    append("shop/prices/api.py")(shop.folder)
    git(shop.folder, "checkout", "-q", "-b", "branch")
    git(shop.folder, "commit", "-q", "-a", "-m", "second")
    ran = shop.run("--ramet-changed", "main", "-n", "2")
    git(shop.folder, "checkout", "-q", "main")
    git(shop.folder, "branch", "-q", "-D", "branch")
    assert ran.code == 0, ran.text
    assert sorted(ran.outcomes) == ["test_it", "test_it[together]"], ran.text
    assert "3 passed" in ran.text
    assert "ramet: 1 file changed since main, in prices: 3 tests run, 6 are left out" in ran.text


def test_a_reference_that_git_does_not_know_is_an_error(shop: Project) -> None:
    """And not a run of everything, or of nothing."""
    ran = shop.run("--ramet-changed", "nowhere")
    assert ran.code == 4
    assert "bad revision 'nowhere'" in ran.text
    assert "passed" not in ran.text
