"""`ramet check` and `ramet explain` as they are typed: what is printed, in which form, and the exit code."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ramet.check import cache, opening, rules
from ramet.check.facts import Facts
from ramet.check.findings import Finding
from ramet.check.formats import as_github
from ramet.cli import explanations
from ramet.cli.main import run
from tests.check.support import write

SHOP: dict[str, str | bytes] = {
    "ramet.toml": '[app]\nname = "shop"\nmodules = ["shop.a", "shop.b"]\n',
    "shop/__init__.py": "",
    "shop/a/__init__.py": "",
    "shop/a/api.py": "from ramet import Module\nfrom shop.b import inner\nmodule = Module('a', uses=['b'])\ndef load(n):\n    return __import__(n)\n",
    "shop/b/__init__.py": "",
    "shop/b/inner.py": "x = 1\n",
    "shop/b/api.py": "from ramet import Module\nmodule = Module('b')\n",
}
MENDED = {"shop/a/api.py": "from ramet import Module\nfrom shop.b import api\nmodule = Module('a', uses=['b'])\n"}

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Current; with one finding and one note."""
    write(tmp_path, SHOP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    return tmp_path


def test_a_finding_has_its_place_its_rule_why_and_what_to_change(shop: Path, capsys: Capture) -> None:
    """On stdout; how much was checked is talk."""
    assert run(["check"]) == 1
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "shop/a/api.py:2  RM701 import past a face",
        "  imports shop.b.inner, an inner file of `b`",
        f"  why:    {rules.PAST_THE_FACE.why}",
        "  change: let shop.b.api offer what is needed, as a call or a type, and `from shop.b import api as b`",
        "shop/a/api.py:5  RM710 note: decided at run time",
        "  what this imports is computed",
        f"  why:    {rules.RUN_TIME.why}",
        "  change: write the name as a literal if it is one of this project",
    ]
    assert said.err == "1 to mend, 1 note: 2 modules, 6 files, 8 lines\n"


def test_a_clean_application_ends_with_0_and_prints_nothing(shop: Path, capsys: Capture) -> None:
    """So that a hook is quiet."""
    write(shop, MENDED)
    assert run(["check"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("clean: 2 modules")


def test_notes_alone_do_not_fail_the_check(shop: Path, capsys: Capture) -> None:
    """They say what could not be checked."""
    write(shop, {"shop/a/api.py": f"{MENDED['shop/a/api.py']}def load(n):\n    return __import__(n)\n"})
    assert run(["check"]) == 0
    assert "RM710 note: decided at run time" in capsys.readouterr().out


def test_json_has_the_same(shop: Path, capsys: Capture) -> None:
    """One object; paths as they can be opened from here."""
    assert run(["check", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    (finding,) = found["findings"]
    assert finding == {
        "code": "RM701",
        "rule": "import past a face",
        "file": "shop/a/api.py",
        "line": 2,
        "message": "imports shop.b.inner, an inner file of `b`",
        "why": rules.PAST_THE_FACE.why,
        "change": "let shop.b.api offer what is needed, as a call or a type, and `from shop.b import api as b`",
    }
    assert [each["code"] for each in found["notes"]] == ["RM710"]
    assert (found["accepted"], found["waived"], found["gone"], found["modules"], found["files"]) == (0, 0, [], 2, 6)


def test_github_gets_an_annotation_a_line(shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """Relative to the repository, wherever in it the application is."""
    monkeypatch.setenv("GITHUB_WORKSPACE", str(shop.parent))
    assert run(["check", "--format", "github"]) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(
        f"::error file={shop.name}/shop/a/api.py,line=2,title=RM701 import past a face::imports shop.b.inner, an inner file of `b`.%0AWhy: "
    )
    assert second.startswith(f"::notice file={shop.name}/shop/a/api.py,line=5,title=RM710 decided at run time::")


def test_an_annotation_escapes_what_github_would_read(capsys: Capture) -> None:
    """A percent sign, a line's end; in the properties a colon and a comma too."""
    finding = Finding(rules.CYCLE, "a,b:c%.py", 3, "50%\r\nof it", "change", "x")
    (line,) = as_github([finding], lambda file: file)
    assert line.startswith("::error file=a%2Cb%3Ac%25.py,line=3,title=RM702 cycle of modules::50%25%0D%0Aof it.%0AWhy: ")
    assert "\n" not in line


def test_what_is_found_can_be_accepted_and_what_is_gone_is_told(shop: Path, capsys: Capture) -> None:
    """The file stands beside ramet.toml, also when the command is typed elsewhere."""
    assert run(["check", "--accept"]) == 0
    assert capsys.readouterr().err == "accepted: 1 in .ramet-accepted.json\n"
    assert run(["check"]) == 0
    assert "clean, 1 note, 1 accepted" in capsys.readouterr().err
    write(shop, MENDED)
    assert run(["check"]) == 0
    assert "gone, and still accepted: RM701 shop/a/api.py shop.b.inner" in capsys.readouterr().err


def test_a_target_is_an_application_a_path_or_a_name(shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """A folder with a ramet.toml is an application; a package is not, though it stands beside one."""
    monkeypatch.chdir(shop.parent)
    assert run(["check", shop.name]) == 1
    assert f"{shop.name}/shop/a/api.py:2" in capsys.readouterr().out
    assert run(["check", f"{shop.name}/shop"]) == 1
    assert f"{shop.name}/shop/a/api.py:2" in capsys.readouterr().out


def test_without_an_application_it_says_how_to_name_a_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Exit code 2: nothing was checked."""
    monkeypatch.chdir(tmp_path)
    assert run(["check"]) == 2
    said = capsys.readouterr().err
    assert "there is no ramet.toml here or above [RM201]" in said
    assert "ramet check src/shop" in said


@pytest.mark.parametrize("arguments", [["--against", "HEAD", "--accept"], ["shop/a", "--against", "HEAD"]])
def test_a_comparison_is_of_applications_and_is_not_accepted(arguments: list[str], shop: Path, capsys: Capture) -> None:
    """A package has no contracts, and a deployed caller breaks whoever accepts it."""
    assert run(["check", *arguments]) == 2
    assert "--against is for an application" in capsys.readouterr().err


def test_against_a_revision_by_the_command(shop: Path, capsys: Capture) -> None:
    """Outside of a repository it is an error, and not a comparison with nothing."""
    write(shop, MENDED)
    assert run(["check", "--against", "HEAD"]) == 2
    assert "is in no git repository" in capsys.readouterr().err
    for arguments in (
        ["init", "--quiet"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "a"],
    ):
        subprocess.run(["git", *arguments], cwd=shop, check=True, capture_output=True)
    assert run(["check", "--against", "HEAD"]) == 0
    assert capsys.readouterr().err.startswith("clean: 2 modules")


def test_without_the_extra_it_says_what_to_install(shop: Path) -> None:
    """The core has none of its libraries."""
    code = "import sys; sys.modules['grimp'] = None; from ramet.cli.main import run; sys.exit(run(['check']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=shop, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'ramet[check]'" in done.stderr
    assert "Traceback" not in done.stderr


# Explain


def test_explain_says_what_an_error_is_and_what_to_do(capsys: Capture) -> None:
    """The same text as the reference."""
    assert run(["explain", "RM101"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("RM101 DeclarationError\n  error, ramet.errors.DeclarationError\n  when: At import: a module")
    assert "  do:   Change the declaration" in said


def test_explain_says_both_where_a_code_is_an_error_and_a_finding(capsys: Capture) -> None:
    """They are one thing, found at two times."""
    assert run(["explain", "[rm103]", "--json"]) == 0
    error, finding = json.loads(capsys.readouterr().out)
    assert (error["title"], finding["title"]) == ("UndeclaredUse", "undeclared use")
    assert finding["why"] == rules.UNDECLARED_USE.why


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.code)
def test_explain_knows_every_finding(rule: rules.Rule, capsys: Capture) -> None:
    """With why it matters apart."""
    assert run(["explain", rule.code]) == 0
    said = re.sub(r"\s+", " ", capsys.readouterr().out)
    assert all(re.sub(r"\s+", " ", text) in said for text in (rule.title, rule.what, rule.why, rule.change))


def test_explain_of_no_code_says_what_was_meant(capsys: Capture) -> None:
    """Codes are typed from a photograph at night."""
    assert run(["explain", "RM7O1"]) == 2
    assert "did you mean `RM7" in capsys.readouterr().err
    assert run(["explain", "frobnicate"]) == 2
    assert "docs/reference/findings.md" in capsys.readouterr().err


def test_a_code_is_of_one_error_and_of_one_finding_at_most() -> None:
    """And those that are both are meant to be."""
    both = {code for code, found in explanations.all_codes().items() if len(found) > 1}
    assert both == {"RM103", "RM105"}
    assert len({rule.code for rule in rules.RULES}) == len(rules.RULES)


# The cache


def test_what_did_not_change_is_not_read_again(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By content: a checkout that touches every file changes nothing."""
    read: list[str] = []
    original = cache.reading.read

    def counted(source: bytes, name: str, *, is_package: bool) -> Facts:
        read.append(name)
        return original(source, name, is_package=is_package)

    monkeypatch.setattr(cache.reading, "read", counted)
    first = opening.of_package("shop", shop)
    assert len(read) == 6
    read.clear()
    for file in shop.rglob("*.py"):
        file.touch()
    assert opening.of_package("shop", shop) == first
    assert read == []
    write(shop, {"shop/b/inner.py": "x = 2\ny = {}\n"})
    assert opening.of_package("shop", shop).project.facts["shop.b.inner"].names == ("x", "y")
    assert read == ["shop.b.inner"]


@pytest.mark.parametrize("damage", [b"", b"nonsense", b"\xff\xfe"])
def test_a_damaged_cache_is_made_anew(shop: Path, damage: bytes) -> None:
    """It holds nothing that is not in the files, so nobody is bothered with it."""
    first = opening.of_package("shop", shop)
    (kept,) = (shop / ".ramet/check").iterdir()
    for text in (damage, kept.read_bytes().partition(b"\n")[0] + b"\n" + damage):
        kept.write_bytes(text)
        assert opening.of_package("shop", shop) == first
    assert opening.of_package("shop", shop) == first


def test_a_folder_that_cannot_be_written_is_checked_all_the_same(shop: Path, capsys: Capture) -> None:
    """A file where the cache's folder would be; a file system that is only read is the same."""
    write(shop, {".ramet": "in the way", **MENDED})
    assert run(["check"]) == 0
    assert capsys.readouterr().err.startswith("clean")
