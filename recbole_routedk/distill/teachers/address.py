"""Addresses of OpenAI-compatible endpoints."""

from __future__ import annotations

from urllib.parse import urlsplit

from recbole_routedk.errors import UserError

OPENAI_URL = "https://api.openai.com/v1"


def checked_address(url: str) -> str:
    """Return a base URL without a slash at its end.

    Raises UserError, which never repeats it, where it is none or holds a secret.
    """
    try:
        parts = urlsplit(url)
        named = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        bare = not (parts.username or parts.password or parts.query or parts.fragment)
    except ValueError:
        named = bare = False
    if not (named and bare):
        raise UserError(
            f"teacher_base_url: has to be an address such as {OPENAI_URL} or http://127.0.0.1:8000/v1, without user "
            "name, password, '?' and '#', since settings are printed and saved; the key is read from the environment"
        )
    return url.rstrip("/")


def is_private_channel(url: str) -> bool:
    """Whether what is sent there is encrypted or stays on this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in ("localhost", "127.0.0.1", "::1")
