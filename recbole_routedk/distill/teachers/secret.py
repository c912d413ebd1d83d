"""A key to a paid service: read from the environment, sent to its endpoint, and nowhere else."""

from __future__ import annotations

import json
import os
from urllib.parse import quote

from recbole_routedk.errors import UserError

_HIDDEN = "[key]"
_LEAST_TELLING = 12
"""A shorter key, such as vLLM's "EMPTY", is a word that may stand in an answer by chance."""


class Secret:
    """The key in an environment variable, or no key where the variable is unset or empty."""

    def __init__(self, variable: str) -> None:
        """Read the key; UserError, without the key in it, where it holds characters that no header can carry."""
        self._key = os.environ.get(variable, "").strip()
        if not all("!" <= character <= "~" for character in self._key):
            raise UserError(
                f"teacher_key_variable: the key in the environment variable {variable} holds spaces or characters "
                "outside ASCII; copy it again"
            )

    def __repr__(self) -> str:
        """Never the key."""
        return f"Secret({_HIDDEN if self._key else 'none'})"

    def __bool__(self) -> bool:
        """Whether there is a key."""
        return bool(self._key)

    def __reduce__(self) -> str:
        raise TypeError("a key is not to be saved")

    def reveal(self) -> str:
        """The key itself, for the client that sends it."""
        return self._key

    def scrubbed(self, text: str) -> str:
        """Return the text with the key, also as it stands in a URL or in JSON, replaced."""
        for form in self._forms():
            text = text.replace(form, _HIDDEN)
        return text

    def stands_in(self, text: str) -> bool:
        """Whether a text repeats the key, and not by chance."""
        return len(self._key) >= _LEAST_TELLING and any(form in text for form in self._forms())

    def _forms(self) -> set[str]:
        return {self._key, quote(self._key, safe=""), json.dumps(self._key)[1:-1]} if self._key else set()
