"""RecBole plug-in for bundle generation with distilled, routed LoRA experts."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recbole_routedk.errors import UserError
    from recbole_routedk.model.bundle_generator import BundleGenerator
    from recbole_routedk.model.generating import SessionBundles
    from recbole_routedk.quick_start import run_recbole_routedk

__version__ = "0.1.0"
__all__ = ["BundleGenerator", "SessionBundles", "UserError", "run_recbole_routedk"]

# Imported when they are first asked for: torch takes seconds, which the help of the command line need not wait for.
_HOMES = {
    "BundleGenerator": "model.bundle_generator",
    "SessionBundles": "model.generating",
    "UserError": "errors",
    "run_recbole_routedk": "quick_start",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
