"""Frames: a header of 12 bytes and a body.

    length u32 | kind u8 | flags u8 | index u16 | call u32 | body        big-endian; length counts what follows it: 8 + body

`index` is the row of the connection's call table (CALL only), `call` the caller's number for it, unique among the calls in
flight on the connection; both are 0 where they mean nothing. docs/reference/wire.md says what each body holds.
"""

import enum
import struct

from ramet.errors import ProtocolError

HEADER = struct.Struct(">IBBHI")
LENGTH_BYTES = 4
HEADER_BYTES = HEADER.size
_AFTER_LENGTH = HEADER_BYTES - LENGTH_BYTES

MAX_HELLO_BYTES = 1024 * 1024
"""Frames before the handshake is done may not be larger: a stranger gets no more memory than this."""


def flush_frames(*, is_tls: bool) -> int:
    """Frames, and at least a quarter of the calls in flight, that are collected before they are written without waiting for the
    end of the turn of the loop: so the peer works on the first while this side makes the next.

    Measured at 16 and 128 in flight: about twice the calls a second. Fewer would cost a system call for each few frames, and with
    TLS a record.
    """
    return 32 if is_tls else 8


class Kind(enum.IntEnum):
    HELLO = 1
    CALL = 2
    RESULT = 3
    FAILURE = 4
    CANCEL = 5
    CHUNK = 6
    END = 7
    CREDIT = 8
    PING = 9
    DRAIN = 10
    REFUSE = 11


_HELLO = int(Kind.HELLO)

BY_NAME = 0x01
"""CALL: the arguments are a map by name, because the contracts differ."""
WITH_CAUSAL = 0x01
"""RESULT: the body is `[causal token, value]`; END: it is the token. The callee wrote or read something newer than the caller
knew."""
PONG = 0x01
"""PING: this is the answer to one."""

Frame = tuple[int, int, int, int, bytes]
"""(kind, flags, index, call, body)"""


def frame(kind: int, *, flags: int = 0, index: int = 0, call: int = 0, body: bytes | bytearray = b"") -> bytes:
    return HEADER.pack(_AFTER_LENGTH + len(body), kind, flags, index, call) + body


class FrameReader:
    """Cuts a stream of bytes into frames. Holds at most one incomplete frame, of at most `max_frame_bytes`.

    kinds: those that may come next; anything else is refused. then: those that may come once HELLO has come, also behind it in
    the
    same read.
    """

    __slots__ = ("_held", "_needed", "_then", "kinds", "max_frame_bytes")

    def __init__(self, *, max_frame_bytes: int, kinds: frozenset[int], then: frozenset[int] = frozenset()) -> None:
        self.max_frame_bytes = max_frame_bytes
        self.kinds = kinds
        self._then = then
        self._held = bytearray()
        self._needed = HEADER_BYTES

    @property
    def held_bytes(self) -> int:
        return len(self._held)

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that `data` completes.

        Raises:
            ProtocolError: `not-ramet`, `frame-too-large`, `frame-too-short`, `unknown-frame` or `out-of-order`. The reader
                is of no further use then.
        """
        if self._held:
            self._held += data
            if len(self._held) < self._needed:
                return []
            data = bytes(self._held)
        frames: list[Frame] = []
        at = 0
        end = len(data)
        unpack = HEADER.unpack_from
        kinds = self.kinds
        while end - at >= HEADER_BYTES:
            length, kind, flags, index, call = unpack(data, at)
            stop = at + LENGTH_BYTES + length
            if kind not in kinds or length > self.max_frame_bytes or length < _AFTER_LENGTH:
                raise self._refusal(length, kind, data[at : at + HEADER_BYTES])
            if stop > end:
                break
            frames.append((kind, flags, index, call, data[at + HEADER_BYTES : stop]))
            if kind == _HELLO:
                self.kinds = kinds = self._then
            at = stop
        self._hold(data, at)
        return frames

    def _hold(self, data: bytes, at: int) -> None:
        if at == len(data):
            if self._held:
                self._held = bytearray()
            return
        self._held = bytearray(data[at:])
        self._needed = HEADER_BYTES
        if len(self._held) >= HEADER_BYTES:
            self._needed = LENGTH_BYTES + HEADER.unpack_from(self._held)[0]

    def _refusal(self, length: int, kind: int, header: bytes) -> ProtocolError:
        if Kind.HELLO in self.kinds and (kind != Kind.HELLO or _is_tls(header)):
            if kind in Kind.__members__.values() and length <= self.max_frame_bytes:
                return ProtocolError("out-of-order", f"{Kind(kind).name} before HELLO")
            return ProtocolError("not-ramet", f"the connection began with {header[:8]!r}", hint=_guess(header))
        if length > self.max_frame_bytes:
            return ProtocolError(
                "frame-too-large",
                f"a frame of {length} bytes, the limit is {self.max_frame_bytes}",
                hint="stream the value, or raise RAMET_MAX_FRAME_BYTES on both sides",
            )
        if length < _AFTER_LENGTH:
            return ProtocolError("frame-too-short", f"a frame of {length} bytes cannot hold its own header")
        if kind not in Kind.__members__.values():
            return ProtocolError("unknown-frame", f"there is no frame of kind {kind}")
        return ProtocolError("out-of-order", f"{Kind(kind).name} is not allowed here")


def _is_tls(header: bytes) -> bool:
    return header[:3] in {b"\x16\x03\x01", b"\x16\x03\x03"}


def _guess(header: bytes) -> str:
    if _is_tls(header):
        return "the peer speaks TLS, this port does not: give this instance a certificate, or take it from the peer"
    if header[:4] in {b"GET ", b"POST", b"PUT ", b"HEAD", b"HTTP", b"PRI "}:
        return "the peer speaks HTTP: this is the port for calls between services"
    return "this is the port for calls between services; check the address"
