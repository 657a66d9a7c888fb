"""Errors of tests: what a marker, a fake or a placement cannot be.

UsageError
├── PlacementRefused      RM601  a test asks for a placement that there is not, or that cannot be made
└── FakeRefused           RM602  a fake that does not keep the contract of the call it stands for
"""

from ramet.errors import CallError, UsageError


class PlacementRefused(UsageError):
    """A test asks for a placement that does not exist, or for something that its placement cannot do."""

    code = "RM601"


class FakeRefused(UsageError):
    """A fake does what the contract of its call does not allow: other parameters, a result that does not fit, a failure that
    is not in `raises`. Or it stands where no caller could meet it."""

    code = "RM602"


class Posed(Exception):
    """Raised by a fake: an error of the call itself, which its caller is to see as if the call had ended in it."""

    def __init__(self, error: CallError) -> None:
        super().__init__(str(error))
        self.error = error
