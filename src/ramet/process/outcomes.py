"""Outcomes of `once` calls as bytes, for the ledger in the database. The ledger knows no types; the calls do."""

from collections.abc import Mapping
from typing import Any

from ramet.calls import failures
from ramet.calls.facade import Call
from ramet.wire import values
from ramet.wire.calls import encode_failure


class CallOutcomes:
    """calls: qualified name -> Call, of one module."""

    def __init__(self, calls: Mapping[str, Call]) -> None:
        self._calls = calls

    def encode_result(self, call: str, value: Any) -> bytes:
        self._calls[call].codec.copy_result(value)  # a result that does not fit is refused before it is stored
        return values.ENCODER.encode(value)

    def decode_result(self, call: str, data: bytes) -> Any:
        return self._calls[call].codec.read_result(data)

    def encode_error(self, call: str, error: Exception) -> bytes:
        return encode_failure(failures.failure_body(error, self._calls[call].contract, ""))

    def decode_error(self, call: str, data: bytes) -> Exception:
        return failures.read_error(data, self._calls[call].codec)
