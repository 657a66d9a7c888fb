import sqlite3

from flask import Flask, current_app, g


def get() -> sqlite3.Connection:
    """The connection of this request."""
    if "connection" not in g:
        g.connection = sqlite3.connect(current_app.config["DATABASE"], timeout=5)
        g.connection.row_factory = sqlite3.Row
    return g.connection


def close(_: BaseException | None) -> None:
    connection = g.pop("connection", None)
    if connection is not None:
        connection.close()


def init_app(app: Flask) -> None:
    app.teardown_appcontext(close)
    with app.app_context(), app.open_resource("schema.sql") as schema:
        get().executescript(schema.read().decode())
