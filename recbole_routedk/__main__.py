"""``python -m recbole_routedk``: see ``recbole_routedk.cli.dispatch``."""

from __future__ import annotations

import os
import sys

# Before torch is imported: idle OpenMP threads that spin take the cores from the ones at work.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from recbole_routedk.cli.dispatch import main

if __name__ == "__main__":
    sys.exit(main())
