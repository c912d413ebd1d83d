"""Errors that a user can mend: the command line prints their text and no traceback."""

from __future__ import annotations


class UserError(ValueError):
    """Something the user gave is wrong; the message says what, where and how to mend it."""
