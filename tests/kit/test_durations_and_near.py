"""Durations and sizes as people write them, and names that are nearly right."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ramet.errors import ConfigError
from ramet.kit.durations import format_duration, parse_duration_s
from ramet.kit.near import did_you_mean
from ramet.kit.sizes import parse_size_bytes
from ramet.settings import Settings

quick = settings(deadline=None, max_examples=100)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25), ("5s", 5.0), ("1.5s", 1.5), ("1m30s", 90.0), ("1h", 3600.0), ("2d", 172800.0), ("100us", 0.0001),
        ("1m 30s", 90.0), (" 5s ", 5.0), ("0", 0.0), ("0s", 0.0), ("0.5", 0.5), ("1e-3", 0.001), (5, 5.0), (0.25, 0.25), (0, 0.0),
    ],
)  # fmt: skip
def test_a_duration_is_parts_with_units_or_a_number_of_seconds(text: str | float, seconds: float) -> None:
    """The unit is in the text; a bare number is seconds."""
    found = parse_duration_s(text)
    assert math.isclose(found, seconds)
    assert isinstance(found, float)


@pytest.mark.parametrize(
    "text",
    ["", " ", "soon", "5x", "5 minutes", "-5s", "-1", -1, "s", "5s5", "1,5s", "nan", "inf", "-inf", math.nan, math.inf, 10**400,
     "9" * 400 + "s", "1e999", None, True, b"5s", [5], "5s;"],
    ids=lambda text: repr(text)[:12],
)  # fmt: skip
def test_what_is_no_duration_is_a_value_error(text: Any) -> None:
    """With the text in it, and what would be one."""
    with pytest.raises(ValueError, match="duration"):
        parse_duration_s(text)


@quick
@given(st.text(max_size=10) | st.from_regex(r"[0-9.]{1,4}(us|ms|s|m|h|d)?[0-9]{0,2}(ms|s)?", fullmatch=True))
def test_any_text_is_a_finite_duration_or_a_value_error(text: str) -> None:
    """It comes from files and the environment."""
    try:
        assert 0 <= parse_duration_s(text) < math.inf
    except ValueError as error:
        assert "duration" in str(error)


@quick
@given(st.floats(1e-6, 1e7))
def test_what_is_printed_is_read_back_to_three_digits(seconds: float) -> None:
    """A person may paste what a message shows."""
    assert math.isclose(parse_duration_s(format_duration(seconds)), seconds, rel_tol=1e-3, abs_tol=1e-6)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0us"),
        (0.00005, "50us"),
        (0.0125, "12.5ms"),
        (0.25, "250ms"),
        (1, "1s"),
        (61.5, "61.5s"),
        (1234.5, "1234s"),
        (10800, "10800s"),
    ],
)
def test_a_duration_is_printed_in_the_unit_of_its_size(seconds: float, text: str) -> None:
    """Never with an exponent."""
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("name", "known", "answer"),
    [
        ("artcles", ["articles", "accounts"], "did you mean `articles`?"),
        ("deadlin", ["deadline", "headline"], "did you mean `deadline`?"),
        ("articles", ["articles"], "did you mean `articles`?"),
        ("zebra", ["articles", "accounts"], None),
        ("", ["articles"], None),
        ("articles", [], None),
        ("a", {"a": 1}, "did you mean `a`?"),
    ],
)
def test_the_nearest_name_is_offered_or_none(name: str, known: Any, answer: str | None) -> None:
    """A wrong guess would be worse than none."""
    assert did_you_mean(name, known) == answer


# Both in use: settings from the environment


def test_settings_come_from_the_environment_by_their_type() -> None:
    """Durations, whole numbers, yes and no; what is not ours is left alone."""
    found = Settings.from_environment(
        {
            "RAMET_PING_INTERVAL_S": "250ms",
            "RAMET_MAX_CALLS": "9",
            "RAMET_STRICT": "off",
            "RAMET_LOG_FORMAT": "json",
            "PATH": "x",
            "RAMET_HOME": "/x",
        }
    )
    assert (found.ping_interval_s, found.max_calls, found.strict, found.log_format) == (0.25, 9, False, "json")


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("RAMET_PING_INTERVAL_S", "soon", "expected a number, or a duration"),
        ("RAMET_MAX_CALLS", "many", "expected a whole number"),
        ("RAMET_MAX_CALLS", "1.5", "expected a whole number"),
        ("RAMET_STRICT", "maybe", "expected 1 or 0"),
        ("RAMET_MAX_CALL", "9", "there is no setting RAMET_MAX_CALL"),
    ],
)
def test_a_setting_that_does_not_fit_names_its_variable(variable: str, text: str, message: str) -> None:
    """An unknown one only where it is nearly known: the environment is full of others' names."""
    with pytest.raises(ConfigError, match=message) as caught:
        Settings.from_environment({variable: text})
    assert caught.value.where == f"environment variable {variable}"


def test_a_misspelt_setting_is_answered_with_the_whole_name() -> None:
    """What can be pasted."""
    with pytest.raises(ConfigError) as caught:
        Settings.from_environment({"RAMET_MAX_CALL": "9"})
    assert caught.value.hint == "did you mean `RAMET_MAX_CALLS`?"


@pytest.mark.parametrize(
    ("text", "size"),
    [("512MB", 512 * 2**20), ("1.5GB", 3 * 2**29), ("64 KB", 2**16), ("100B", 100), ("2TB", 2**41)],
)
def test_a_size_is_a_number_with_a_unit(text: str, size: int) -> None:
    """Powers of 1024, which is what `ramet status` prints."""
    assert parse_size_bytes(text) == size


@pytest.mark.parametrize(
    "text", ["512", "", "MB", "0MB", "-1MB", "1mb", "1 MiB", "1e3MB", "٣MB", f"{'9' * 400}MB", "1MB2", "nanMB"]
)
def test_what_is_no_size_is_answered_with_one(text: str) -> None:
    """The message has what to write."""
    with pytest.raises(ValueError, match="write it as '512MB'"):
        parse_size_bytes(text)


@quick
@given(st.text())
def test_no_text_breaks_the_reader_of_sizes(text: str) -> None:
    """A number of bytes, or a ValueError."""
    try:
        assert parse_size_bytes(text) >= 1
    except ValueError as error:
        assert "is not a size" in str(error)
