from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from wiki import database

blueprint = Blueprint("pages", __name__)


@blueprint.after_request
def forbid_frames(response: Response) -> Response:
    response.headers["X-Frame-Options"] = "DENY"
    return response


@blueprint.get("/")
def index() -> str:
    rows = database.get().execute("SELECT name FROM pages ORDER BY name")
    return render_template("index.html", names=[row["name"] for row in rows])


@blueprint.get("/pages/<name>")
def show(name: str) -> str:
    row = database.get().execute("SELECT name, text, author FROM pages WHERE name = ?", (name,)).fetchone()
    if row is None:
        abort(404)
    return render_template("page.html", page=row)


@blueprint.post("/pages/<name>")
def save(name: str) -> Response:
    author = session.setdefault("author", request.form.get("author", "somebody"))
    with database.get() as connection:
        connection.execute(
            "INSERT INTO pages VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET text = excluded.text, author = excluded.author",
            (name, request.form["text"], author),
        )
    current_app.logger.warning("page %s saved by %s", name, author)
    flash("Saved.")
    return redirect(url_for("pages.show", name=name))
