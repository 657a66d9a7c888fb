"""TCP ports: which are free now. Somebody else may take one before it is used; whoever uses one is ready to choose again."""

import socket


def free_port(host: str = "127.0.0.1") -> int:
    with _listener(host) as listener:
        listener.bind((host, 0))
        port: int = listener.getsockname()[1]
        return port


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there. A connection of an earlier server that lingers does not count against it."""
    with _listener(host) as listener:
        try:
            listener.bind((host, port))
            listener.listen()
        except OSError:
            return False
        return True


def _listener(host: str) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return listener
