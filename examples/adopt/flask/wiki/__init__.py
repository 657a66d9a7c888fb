"""The wiki: `flask --app wiki run`."""

import os
from typing import Any

from flask import Flask

from wiki import api, database, pages


def create_app(settings: dict[str, Any] | None = None) -> Flask:
    app = Flask(__name__)
    app.config.from_mapping(
        SECRET_KEY=os.environ.get("WIKI_SECRET_KEY", "only for development"),
        DATABASE=os.environ.get("WIKI_DATABASE", "wiki.sqlite"),
    )
    app.config.update(settings or {})
    database.init_app(app)
    app.register_blueprint(pages.blueprint)
    app.register_blueprint(api.blueprint)
    return app
