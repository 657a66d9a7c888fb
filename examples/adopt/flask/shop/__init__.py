import os
from pathlib import Path

from flask import Flask, Response

from shop import database, orders


def create_app(path: str | None = None) -> Flask:
    app = Flask(__name__)
    app.config["DATABASE"] = path or os.environ.get("SHOP_DATABASE", str(Path(__file__).parents[1] / "shop.db"))
    app.register_blueprint(orders.blueprint)
    app.teardown_appcontext(database.close)

    @app.after_request
    def forbid_frames(response: Response) -> Response:
        response.headers["X-Frame-Options"] = "DENY"
        return response

    with app.app_context():
        database.create()
    return app
