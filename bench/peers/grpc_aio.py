"""grpc.aio with its defaults, on uvloop: one channel, one unary method, protobuf's own (upb) messages.

The message type is built from the fields of `OrderLine`, into the descriptor that protoc would generate: hence the same
class and the same serializers.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio
import msgspec
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from bench.payload import SAMPLE, OrderLine
from bench.subject import Drive, Place, Subject, closed_loop

SERVICE, METHOD = "bench.Orders", "Echo"

_Field = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    int: _Field.TYPE_INT64,
    float: _Field.TYPE_DOUBLE,
    str: _Field.TYPE_STRING,
    bool: _Field.TYPE_BOOL,
    list[str]: _Field.TYPE_STRING,
}


def message_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="bench/orders.proto", package="bench", syntax="proto3")
    message = file.message_type.add(name="OrderLine")
    for number, field in enumerate(msgspec.structs.fields(OrderLine), start=1):
        label = _Field.LABEL_REPEATED if field.type == list[str] else _Field.LABEL_OPTIONAL
        message.field.add(name=field.name, number=number, type=_TYPES[field.type], label=label)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("bench.OrderLine"))


OrderLineMessage = message_class()


async def echo(request: Any, context: object) -> Any:
    return request


@asynccontextmanager
async def serve(place: Place) -> AsyncGenerator[Sequence[int], None]:
    server = grpc.aio.server()
    method = grpc.unary_unary_rpc_method_handler(
        echo,
        request_deserializer=OrderLineMessage.FromString,
        response_serializer=OrderLineMessage.SerializeToString,
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: method}),))
    server.add_insecure_port(f"{place.host}:{place.port}")
    await server.start()
    yield ()
    await server.stop(None)


@asynccontextmanager
async def connect(place: Place) -> AsyncGenerator[Drive, None]:
    async with grpc.aio.insecure_channel(f"{place.host}:{place.port}") as channel:
        call = channel.unary_unary(
            f"/{SERVICE}/{METHOD}",
            request_serializer=OrderLineMessage.SerializeToString,
            response_deserializer=OrderLineMessage.FromString,
        )
        yield closed_loop(call, OrderLineMessage(**msgspec.structs.asdict(SAMPLE)))


SUBJECT = Subject(serve, connect)
