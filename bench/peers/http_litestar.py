"""Litestar, which takes msgspec's structs as they are."""

from litestar import Litestar, get, post

from bench.peers.http_order import ORDER, PATH, Order, pair, serve_asgi


@get(PATH)
async def get_order() -> Order:
    return ORDER


@post(PATH, status_code=200)
async def post_order(data: Order) -> Order:
    return data


app = Litestar([get_order, post_order], openapi_config=None)
GET, POST = pair(serve_asgi(app))
