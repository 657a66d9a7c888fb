"""Starlette has no types of its own: its routing, Request and Response, with msgspec for the JSON as its users would."""

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.peers.http_order import ORDER, PATH, Order, pair, serve_asgi

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Order).decode


async def get_order(_: Request) -> Response:
    return Response(encode(ORDER), media_type="application/json")


async def post_order(request: Request) -> Response:
    return Response(encode(decode(await request.body())), media_type="application/json")


app = Starlette(routes=[Route(PATH, get_order, methods=["GET"]), Route(PATH, post_order, methods=["POST"])])
GET, POST = pair(serve_asgi(app))
