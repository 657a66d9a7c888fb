"""Errors of histories.

UsageError
└── HistoryRefused        RM611  a history that cannot be recorded, read or judged
"""

from ramet.errors import UsageError


class HistoryRefused(UsageError):
    """A history cannot be: a value that is no register's, a key that is a register here and a set there, a file that is none."""

    code = "RM611"
