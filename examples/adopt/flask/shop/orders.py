from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from shop import database
from shop.prices import shipping_cents

blueprint = Blueprint("orders", __name__)


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
    return render_template("order.html", order=order, cents=shipping_cents(order["grams"]))


@blueprint.get("/shipping")
def shipping() -> dict[str, int]:
    return {"cents": shipping_cents(int(request.args["grams"]))}
