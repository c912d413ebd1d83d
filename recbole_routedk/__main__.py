"""``python -m recbole_routedk``: see ``recbole_routedk.cli.dispatch``."""

from __future__ import annotations

import sys

from recbole_routedk.cli.dispatch import main

if __name__ == "__main__":
    sys.exit(main())
