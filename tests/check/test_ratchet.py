"""Accepting what is there: new findings fail the check, old ones do not, and what is mended can be forgotten."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramet.check import judging, ratchet, rules
from ramet.check.findings import Finding
from ramet.errors import ConfigError
from tests.check.support import check_package, codes, write

PAST = "from shop.b.inner import x\n"
SHOP: dict[str, str | bytes] = {
    "shop/__init__.py": "",
    "shop/a/__init__.py": PAST,
    "shop/b/__init__.py": "y = 1\n",
    "shop/b/inner.py": "x = 1\n",
}


def accept(folder: Path) -> None:
    judging.accept(check_package("shop", folder), folder / ratchet.FILE)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """With one finding, which is accepted."""
    write(tmp_path, SHOP)
    accept(tmp_path)
    return tmp_path


def test_what_is_accepted_does_not_fail_the_check(shop: Path) -> None:
    """It is counted, so that nobody forgets it."""
    report = check_package("shop", shop)
    assert (report.new, len(report.accepted), report.gone) == ((), 1, ())


def test_an_accepted_finding_is_known_again_on_another_line(shop: Path) -> None:
    """Whoever edits above it has added nothing."""
    write(shop, {"shop/a/__init__.py": f"import os\n\n\n{PAST}"})
    assert check_package("shop", shop).new == ()


def test_another_of_the_same_rule_is_new(shop: Path) -> None:
    """Another inner file, and the same one from another file."""
    write(shop, {"shop/b/other.py": "", "shop/a/__init__.py": f"{PAST}from shop.b import other\n", "shop/a/more.py": PAST})
    assert [each.where for each in check_package("shop", shop).new] == ["shop/a/__init__.py:2", "shop/a/more.py:1"]


def test_what_is_mended_is_told_and_can_be_forgotten(shop: Path) -> None:
    """The ratchet only tightens: once forgotten it is new again. Without findings there is no file."""
    write(shop, {"shop/a/__init__.py": ""})
    assert check_package("shop", shop).gone == ("RM701 shop/a/__init__.py shop.b.inner",)
    accept(shop)
    assert not (shop / ratchet.FILE).exists()
    write(shop, {"shop/a/__init__.py": PAST})
    assert codes(check_package("shop", shop)) == ["RM701"]


def finding(subject: str = "x", *, rule: rules.Rule = rules.PAST_THE_FACE, file: str = "a.py", line: int = 1) -> Finding:
    return Finding(rule, file, line, "message", "change", subject)


def test_a_second_one_of_the_same_is_new() -> None:
    """The number counts too."""
    judged = ratchet.sort([finding(line=1), finding(line=2)], {"RM701 a.py x": 1})
    assert (judged.accepted, judged.new) == ((finding(line=1),), (finding(line=2),))


@pytest.mark.parametrize(("members", "is_new"), [("a b c", False), ("a b", False), ("a b c d", True), ("d e", True)])
def test_a_circle_that_became_smaller_is_still_the_accepted_one(members: str, is_new: bool) -> None:
    """Taking a module out of it is progress; another one in it is not. Where it is told moves with the imports."""
    judged = ratchet.sort([finding(members, rule=rules.CYCLE, file="elsewhere.py")], {"RM702 a.py a b c": 1})
    assert bool(judged.new) is is_new
    assert bool(judged.gone) is is_new


def test_the_file_is_sorted_with_one_finding_a_line(tmp_path: Path) -> None:
    """Two branches that accept something merge."""
    ratchet.save(tmp_path / "f", [finding("z"), finding("é"), finding("z")])
    assert (tmp_path / "f").read_text() == '{\n"RM701 a.py z": 2,\n"RM701 a.py é": 1\n}\n'
    assert ratchet.load(tmp_path / "f") == {"RM701 a.py z": 2, "RM701 a.py é": 1}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": "b"}', '{"a": 0}', '{"a": true}', "\xff", "null", "[" * 100_000])
def test_a_damaged_file_is_an_error_with_the_way_out(text: str, tmp_path: Path) -> None:
    """A conflict that was merged badly, most of all."""
    (tmp_path / "f").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError) as caught:
        ratchet.load(tmp_path / "f")
    assert caught.value.where == str(tmp_path / "f")


@given(st.text(max_size=30))
def test_any_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Nothing else than ConfigError."""
    path = tmp_path_factory.mktemp("ratchet") / "f"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        ratchet.load(path)
    except ConfigError:
        return
