"""The floor: an ASGI function on uvicorn, with msgspec for the JSON and nothing else; no routing, no errors, no record."""

from typing import Any

import msgspec

from bench.peers.http_order import ORDER, Order, pair, serve_asgi

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Order).decode


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["method"] == "GET":
        body = encode(ORDER)
    else:
        message = await receive()
        data = message["body"]
        while message.get("more_body"):
            message = await receive()
            data += message["body"]
        body = encode(decode(data))
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


GET, POST = pair(serve_asgi(app))
LOGGED_GET, LOGGED_POST = pair(serve_asgi(app, access_log=True))
TUNED_GET, TUNED_POST = pair(serve_asgi(app, is_tuned=True))
