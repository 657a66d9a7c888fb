"""Whether a PostgreSQL accepts connections: the question that pg_isready asks, without a process for each time.

A client begins with a startup message. A server that accepts answers with an authentication request or with an error about this
client; one that still starts, recovers or stops answers with an error whose SQLSTATE is 57P03.
(https://www.postgresql.org/docs/current/protocol-flow.html, "Start-up")
"""

import asyncio
import contextlib
import enum
import struct

_PROTOCOL = 3 << 16
_NOT_YET = b"57P03"


class Answer(enum.Enum):
    ACCEPTS = "accepts connections"
    STARTS = "runs, but does not accept connections yet"
    SILENT = "does not answer"


async def probe(host: str, port: int, *, user: str = "ramet", timeout_s: float = 3.0) -> Answer:
    """host: a name or address, or the directory of a Unix socket. No password is sent, and no session begins."""
    try:
        async with asyncio.timeout(timeout_s):
            if host.startswith("/"):
                reader, writer = await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
            else:
                reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(startup_message(user))
                return judge(await reader.read(1024))
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError):
        return Answer.SILENT


def startup_message(user: str) -> bytes:
    parameters = b"".join(part.encode() + b"\0" for part in ("user", user, "database", "postgres")) + b"\0"
    return struct.pack(">II", 8 + len(parameters), _PROTOCOL) + parameters


def judge(first: bytes) -> Answer:
    """What the first bytes of the answer mean. An error about this client, such as no such role, is from one that accepts."""
    if first[:1] == b"R" or first[:1] == b"N":
        return Answer.ACCEPTS
    if first[:1] != b"E":
        return Answer.SILENT
    fields = first[5:].split(b"\0")
    state = next((field[1:] for field in fields if field[:1] == b"C"), b"")
    return Answer.STARTS if state == _NOT_YET else Answer.ACCEPTS
