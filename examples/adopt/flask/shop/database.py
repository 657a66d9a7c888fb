import sqlite3

from flask import current_app, g


def get() -> sqlite3.Connection:
    if "db" not in g:
        g.db = sqlite3.connect(current_app.config["DATABASE"], timeout=10)
        g.db.row_factory = sqlite3.Row
    return g.db


def create() -> None:
    get().execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, item TEXT NOT NULL, grams INTEGER NOT NULL)")


def close(_: BaseException | None = None) -> None:
    if (db := g.pop("db", None)) is not None:
        db.close()
