"""How often pages were looked at. Their script counts; it is kept in memory, since nobody minds losing it."""

import threading
from collections import Counter

from flask import Blueprint

blueprint = Blueprint("api", __name__, url_prefix="/api")

views: Counter[str] = Counter()
lock = threading.Lock()


@blueprint.get("/views/<name>")
def look(name: str) -> dict[str, int | str]:
    return {"page": name, "views": views[name]}


@blueprint.post("/views/<name>")
def count(name: str) -> dict[str, int | str]:
    with lock:
        views[name] += 1
        return {"page": name, "views": views[name]}


@blueprint.delete("/views/<name>")
def reset(name: str) -> dict[str, int | str]:
    with lock:
        views.pop(name, None)
        return {"page": name, "views": 0}
