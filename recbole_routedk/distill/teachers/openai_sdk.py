"""The official SDK of OpenAI-compatible services, imported when one is asked."""

from __future__ import annotations

import logging
from typing import Any

from recbole_routedk.errors import UserError

_CHATTY_LOGGERS = ("openai", "httpx", "httpx2", "httpcore", "httpcore2")


def openai_sdk() -> Any:
    """Return the package ``openai``; UserError where it is not installed."""
    try:
        import openai
    except ModuleNotFoundError as error:
        if error.name != "openai":
            raise
        raise UserError("teacher: openai needs the package openai; pip install 'recbole_routedk[openai]'") from None
    return openai


def quiet_sdk_logs() -> None:
    """Silence a line a request and foreign headers, unless the user asked the SDK for them."""
    for name in _CHATTY_LOGGERS:
        if logging.getLogger(name).level == logging.NOTSET:
            logging.getLogger(name).setLevel(logging.WARNING)
