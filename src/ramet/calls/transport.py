"""Doors and dialling: TCP with mutual TLS, or a Unix socket where caller and callee share a machine.

A Unix socket carries no TLS: its directory's permissions say who may connect. Over TCP both sides show a certificate of the
application's own authority, whose subject names the service in a URI, `ramet://<app>/service/<name>`.
"""

import asyncio
import contextlib
import os
import socket
import ssl
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ramet.errors import CertificateError, ProtocolError
from ramet.model.routing import Address

P = TypeVar("P", bound=asyncio.BaseProtocol)


@dataclass(frozen=True, slots=True)
class Identity:
    """Files of one service: its certificate with key, and the authority that both sides trust."""

    authority: Path
    certificate: Path
    key: Path


def service_uri(app: str, service: str) -> str:
    return f"ramet://{app}/service/{service}"


def server_context(identity: Identity) -> ssl.SSLContext:
    return _context(identity, ssl.PROTOCOL_TLS_SERVER)


def client_context(identity: Identity) -> ssl.SSLContext:
    return _context(identity, ssl.PROTOCOL_TLS_CLIENT)


def _context(identity: Identity, protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # the certificate names a service, wherever it runs; `peer_service` compares that
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_verify_locations(identity.authority)
        context.load_cert_chain(identity.certificate, identity.key)
    except (OSError, ssl.SSLError) as error:
        raise CertificateError(
            f"the certificate of this service cannot be used: {error}",
            where=str(identity.certificate),
            hint="ramet certs issue SERVICE",
        ) from error
    return context


def peer_service(transport: asyncio.BaseTransport, app: str) -> str | None:
    """The service that the peer's certificate names; None without TLS. Raises ProtocolError `wrong-certificate`."""
    certificate: dict[str, Any] | None = transport.get_extra_info("peercert")
    if certificate is None:
        return None
    prefix = service_uri(app, "")
    for kind, value in certificate.get("subjectAltName", ()):
        if kind == "URI" and value.startswith(prefix):
            return value.removeprefix(prefix)
    raise ProtocolError("wrong-certificate", f"the peer's certificate names no service of {app!r}")


def host_id() -> str:
    """Identity of this machine: equal in two processes exactly if they share one kernel, so that they may share a socket."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return socket.gethostname()


def is_same_host(address: Address, here: str) -> bool:
    """Whether the address's Unix socket can be reached from here. A container of the same machine may not see its path."""
    if not address.unix or address.host_id != here:
        return False
    try:
        return stat.S_ISSOCK(Path(address.unix).stat().st_mode)
    except OSError:
        return False


async def dial(address: Address, factory: Callable[[], P], *, here: str, tls: ssl.SSLContext | None) -> P:
    """Connect: by Unix socket where possible, else by TCP. Raises OSError or ssl.SSLError."""
    loop = asyncio.get_running_loop()
    if is_same_host(address, here):
        _, protocol = await loop.create_unix_connection(factory, address.unix)
        return protocol
    if not address.port:
        raise ConnectionRefusedError(f"{address} has no TCP door, and its socket is not on this machine")
    transport, protocol = await loop.create_connection(factory, address.host, address.port, ssl=tls)
    _no_delay(transport)
    return protocol


async def listen_unix(path: Path, factory: Callable[[], asyncio.BaseProtocol]) -> asyncio.AbstractServer:
    """Open a Unix door, readable by this user alone. A socket that a dead process left behind is replaced."""
    _make_way(path)
    server = await asyncio.get_running_loop().create_unix_server(factory, str(path))
    os.chmod(path, 0o600)  # noqa: PTH101  (once, at start)
    return server


def _make_way(path: Path) -> None:
    if path.is_socket():
        path.unlink()
    path.parent.mkdir(parents=True, exist_ok=True)


async def listen_tcp(
    host: str, port: int, factory: Callable[[], asyncio.BaseProtocol], *, tls: ssl.SSLContext | None
) -> tuple[asyncio.AbstractServer, int]:
    """Open a TCP door; port 0 takes a free one. Returns the server and its port."""
    server = await asyncio.get_running_loop().create_server(factory, host, port, ssl=tls)
    return server, server.sockets[0].getsockname()[1]


def _no_delay(transport: asyncio.BaseTransport) -> None:
    raw = transport.get_extra_info("socket")
    if raw is not None and raw.family in {socket.AF_INET, socket.AF_INET6}:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
