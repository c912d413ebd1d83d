"""Where things are kept between runs that are costly to make: dequantised students and title vectors."""

from __future__ import annotations

import os
from pathlib import Path

CACHE_VARIABLE = "RECBOLE_ROUTEDK_CACHE"


def cache_folder() -> Path:
    """Return ``$RECBOLE_ROUTEDK_CACHE``, else ``recbole_routedk`` in the user's cache folder."""
    if CACHE_VARIABLE in os.environ:
        return Path(os.environ[CACHE_VARIABLE])
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "recbole_routedk"
