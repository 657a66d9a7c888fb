"""`ramet docs`: the module map as files and as a page."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from ramet.cli.main import run
from tests.operate.app import Command

EXAMPLES = Path(__file__).parents[2] / "examples"


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command while it serves, and its URL."""
    command = [sys.executable, "-m", "ramet", "docs", *arguments]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as served:
        try:
            assert served.stdout is not None
            yield served, served.stdout.readline().strip()
        finally:
            served.kill()


def test_it_writes_the_text_and_the_picture_and_says_where(shop: Command) -> None:
    """Into a folder that need not exist. Twice the same."""
    assert shop.ok("docs", "--write", "docs/map") == "docs/map/modules.md\ndocs/map/modules.svg\n"
    text, picture = ((shop.folder / "docs/map" / name).read_text() for name in ("modules.md", "modules.svg"))
    assert "| `GET /orders/{id}` | `get` | 200 | `NoOrder` |" in text
    assert "Migrations: 0001." in text
    assert "![modules](modules.svg)" in text
    assert "<title>front uses orders</title>" in picture
    shop.ok("docs", "--write", "docs/map")
    assert (shop.folder / "docs/map/modules.svg").read_text() == picture
    assert (shop.folder / "docs/map/modules.md").read_text() == text


def test_conduit_s_map_names_what_each_of_its_modules_is_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the packages' docstrings, with the prefix of ramet.toml before the paths. Nothing of it is started."""
    done = subprocess.run(
        [sys.executable, "-m", "ramet", "docs", "--topology", "grown", "--write", str(tmp_path)],
        cwd=EXAMPLES / "conduit",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "modules.md").read_text()
    assert "| [social](#social) | Who follows whom, and who likes what: pairs of ids" in text
    assert "`GET /api/articles/{slug}`" in text
    assert "service web" in (tmp_path / "modules.svg").read_text()


def test_it_serves_one_page_on_this_machine_until_it_is_told_to_stop(shop: Command) -> None:
    """The picture is in the page; links lead to its headings. The address alone is on stdout."""
    with serving(shop.folder, "--topology", "grown") as (served, url):
        assert url.startswith("http://127.0.0.1:")
        with urlopen(url, timeout=10) as answer:
            page = answer.read().decode()
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
        served.send_signal(signal.SIGINT)
        out, err = served.communicate(timeout=10)
    assert (served.returncode, out, err) == (0, "", "stopped\n")
    assert "<svg " in page
    assert "THE-PICTURE" not in page
    assert '<h2 id="orders">orders</h2>' in page
    assert 'href="#orders"' in page
    assert "<td><code>GET /orders/{id}</code></td>" in page


def test_a_port_that_is_taken_is_an_error_and_not_a_traceback(shop: Command) -> None:
    """Exit code 2."""
    with serving(shop.folder) as (_, url):
        done = shop.run("docs", "--port", url.rpartition(":")[2])
    assert done.returncode == 2
    assert "error: Address already in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_docstring_s_html_is_shown_and_not_obeyed(shop: Command) -> None:
    """The page is for reading what others wrote."""
    init = shop.folder / "shop" / "orders" / "__init__.py"
    init.write_text('"""Orders <script>alert(1)</script>."""\n')
    with serving(shop.folder) as (_, url), urlopen(url, timeout=10) as answer:
        page = answer.read().decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script" not in page


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, shop: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    """Files can be written without it."""
    monkeypatch.setitem(sys.modules, "markdown_it", None)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in [name for name in sys.modules if name == "shop" or name.startswith("shop.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.chdir(shop.folder)
    assert run(["docs"]) == 2
    assert "hint: pip install 'ramet[docs]', or write files: ramet docs --write docs" in capsys.readouterr().err
    assert run(["docs", "--write", "out"]) == 0


def test_a_topology_that_is_not_there_is_refused_with_the_one_that_was_meant(shop: Command) -> None:
    """Nothing is written."""
    done = shop.run("docs", "--topology", "grwn", "--write", "docs")
    assert done.returncode == 2
    assert "did you mean `grown`?" in done.stderr
    assert not (shop.folder / "docs").exists()
