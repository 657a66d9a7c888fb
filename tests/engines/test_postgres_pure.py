"""What of PostgreSQL's supervision decides without a server."""

import re
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramet.engines.errors import EngineFailed
from ramet.engines.postgres_probe import Answer, judge, startup_message
from ramet.engines.postgres_remote import RemotePostgres
from ramet.engines.postgres_settings import PostgresSettings, render
from ramet.engines.postgres_url import address_of, addresses_of, make_url, with_parts, without_password, without_role
from ramet.errors import ConfigError


def rendered(settings: PostgresSettings, *, major: int = 18, libraries: tuple[str, ...] = ()) -> dict[str, str]:
    text = render(settings, major=major, port=5555, socket_directory="/tmp/it's", libraries=libraries)
    return dict(re.findall(r"^(\S+) = '(.*)'$", text, re.MULTILINE))


def test_settings_of_a_newer_postgresql_are_left_out_for_an_older_one() -> None:
    """An unknown setting stops the server; `io_method` is of 18."""
    assert rendered(PostgresSettings())["io_method"] == "worker"
    assert "io_method" not in rendered(PostgresSettings(), major=17)


def test_only_modules_that_are_there_are_preloaded() -> None:
    """A minimal PostgreSQL from a distribution lacks the contributed modules, and would not start."""
    assert "shared_preload_libraries" not in rendered(PostgresSettings())
    both = rendered(PostgresSettings(), libraries=("auto_explain", "pg_stat_statements", "hstore"))
    assert both["shared_preload_libraries"] == "pg_stat_statements,auto_explain"


def test_the_users_own_settings_win_and_are_quoted() -> None:
    """A path with an apostrophe is a path, and a value cannot become a second setting."""
    values = rendered(PostgresSettings(extra={"jit": "on", "cluster_name": "a'\nport = 1"}))
    assert values["jit"] == "on"
    assert values["cluster_name"] == "a'' port = 1"
    assert values["unix_socket_directories"] == "/tmp/it''s"
    assert values["port"] == "5555"


def error(state: str) -> bytes:
    body = b"SFATAL\0C" + state.encode() + b"\0Msomething\0\0"
    return b"E" + struct.pack(">I", 4 + len(body)) + body


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        pytest.param(b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0", Answer.ACCEPTS, id="asked for a password"),
        pytest.param(error("57P03"), Answer.STARTS, id="cannot connect now: it starts or recovers"),
        pytest.param(error("28000"), Answer.ACCEPTS, id="this client is not allowed, others are"),
        pytest.param(error("53300"), Answer.ACCEPTS, id="too many connections, so it works"),
        pytest.param(b"", Answer.SILENT, id="closed at once"),
        pytest.param(b"HTTP/1.1 400", Answer.SILENT, id="something else listens there"),
    ],
)
def test_readiness_is_told_from_the_first_answer(answer: bytes, meaning: Answer) -> None:
    """As pg_isready: a refusal of this client is still the voice of a server that accepts."""
    assert judge(answer) is meaning


def test_the_startup_message_states_its_own_length() -> None:
    """A wrong length makes the server wait for more, and the probe for its answer."""
    message = startup_message("ramet")
    assert struct.unpack(">I", message[:4]) == (len(message),)


NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)


@given(database=NAMES, user=NAMES, password=NAMES, port=st.integers(1, 65535))
def test_every_name_and_password_survives_the_url(database: str, user: str, password: str, port: int) -> None:
    """Passwords hold @, : and /; a URL that breaks on one fails only in production."""
    from urllib.parse import unquote, urlsplit

    for host in ("127.0.0.1", "::1", "/run/some dir"):
        url = make_url(host=host, port=port, database=database, user=user, password=password)
        parts = urlsplit(url)
        assert (unquote(parts.username or ""), unquote(parts.password or "")) == (user, password)
        assert unquote(parts.path[1:]) == database
        assert addresses_of(url) == [(host, port)]
        masked = make_url(host=host, port=port, database=database, user=user, password="***").replace("%2A", "*")
        assert password not in without_password(url) or password in masked


def test_another_user_does_not_inherit_the_password() -> None:
    """A role's URL made from the administrator's must not carry the administrator's password."""
    url = "postgresql://admin:secret@db.example:6543/app?sslmode=require"
    assert with_parts(url, user="articles", password="p@ss") == "postgresql://articles:p%40ss@db.example:6543/app?sslmode=require"
    assert with_parts(url, user="articles") == "postgresql://articles@db.example:6543/app?sslmode=require"
    assert with_parts(url, database="other") == "postgresql://admin:secret@db.example:6543/other?sslmode=require"


@pytest.mark.parametrize("url", ["mysql://a/b", "postgresql:///nohost", "postgresql://a:port/b", "nonsense"])
def test_what_is_no_url_of_a_postgresql_is_refused_at_once(url: str) -> None:
    """A mistake in the topology is told when it is read, with the form that is expected."""
    with pytest.raises(ConfigError, match="not the URL of a PostgreSQL"):
        RemotePostgres(url)


def test_a_remote_server_that_does_not_answer_is_named_without_its_password() -> None:
    """The error goes to logs and terminals."""
    import asyncio

    from ramet.engines.ports import free_port

    remote = RemotePostgres(f"postgresql://me:secret@127.0.0.1:{free_port()}/app")
    with pytest.raises(EngineFailed, match=r"me:\*\*\*@.*does not answer") as raised:
        asyncio.run(remote.start(deadline_s=0.01))
    assert "secret" not in str(raised.value) + repr(remote)


@pytest.mark.parametrize(
    ("url", "places"),
    [
        ("postgresql://u:p@a:1,b/d", [("a", 1), ("b", 5432)]),
        ("postgresql://u@[::1]:7,[::2]/d", [("::1", 7), ("::2", 5432)]),
        ("postgresql://u@/d?host=/x,/y&port=1,2", [("/x", 1), ("/y", 2)]),
    ],
)
def test_a_url_may_name_several_hosts(url: str, places: list[tuple[str, int]]) -> None:
    """A primary and its standbys: any that accepts is enough to go on."""
    assert addresses_of(url) == places


def test_one_of_several_hosts_is_not_guessed() -> None:
    assert address_of("postgresql://u@a:1/d") == ("a", 1)
    with pytest.raises(ConfigError, match="2 hosts where one is needed"):
        address_of("postgresql://u@a:1,b:2/d")


def test_a_url_without_its_role_still_names_the_server() -> None:
    assert without_role("postgresql://admin:secret@db:6543/app?sslmode=require") == "postgresql://db:6543/app?sslmode=require"
    assert addresses_of(without_role("postgresql://admin@/app?host=/x&port=7")) == [("/x", 7)]
