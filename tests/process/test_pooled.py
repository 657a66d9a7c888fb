"""An instance whose database is behind a transaction pooler, and what of it goes past the pooler."""

from ramet.process.databases import address_of, behind


def test_the_server_behind_a_pooler_is_reached_as_the_same_role() -> None:
    pooler = address_of("stock", "postgresql://stock:p%40ss@pooler:6432/app", application_name="main-1")
    server = behind(pooler, "postgresql://db:5432,standby:5432/app?sslmode=require")
    assert server.dsn == "postgresql://stock:p%40ss@db:5432,standby:5432/app?sslmode=require"
    assert (server.schema, server.application_name, server.is_pooled) == ("stock", "main-1", False)
