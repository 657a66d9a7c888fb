"""What all modules refuse requests with. Values: they cross the wire as themselves."""

from ramet import Failure


class Unauthorized(Failure, status=401):
    """Nobody is signed in.

    what: `token` or `credentials`.
    """

    what: str
    why: str


class Forbidden(Failure, status=403):
    """It is somebody else's."""

    what: str


class NotFound(Failure, status=404):
    """There is no such thing."""

    what: str


class Taken(Failure, status=422):
    """Another user has it already.

    what: `username` or `email`.
    """

    what: str
