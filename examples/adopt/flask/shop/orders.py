from collections import Counter

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from shop import database
from shop.prices import shipping_cents

blueprint = Blueprint("orders", __name__)
looked_at: Counter[str] = Counter()
"""Item -> how often its orders were looked at. In memory, since nobody minds losing it."""


@blueprint.post("/orders")
def create() -> Response:
    db = database.get()
    row = db.execute("INSERT INTO orders (item, grams) VALUES (?, ?)", (request.form["item"], int(request.form["grams"])))
    db.commit()
    return redirect(url_for("orders.show", order_id=row.lastrowid))


@blueprint.get("/orders/<int:order_id>")
def show(order_id: int) -> str:
    order = database.get().execute("SELECT * FROM orders WHERE id = ?", (order_id,)).fetchone()
    if order is None:
        abort(404)
    looked_at[order["item"]] += 1
    return render_template("order.html", order=order, cents=shipping_cents(order["grams"]))


@blueprint.get("/popular")
def popular() -> dict[str, int]:
    return dict(looked_at.most_common(10))


@blueprint.route("/shipping", methods=["GET", "POST"])
def shipping() -> dict[str, int]:
    """By address, or by a form."""
    return {"cents": shipping_cents(int(request.values["grams"]))}
