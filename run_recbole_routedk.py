"""Train and evaluate: ``python run_recbole_routedk.py --model=RouteDK --dataset=bundle-mini``."""

from __future__ import annotations

import sys

from recbole_routedk.cli.dispatch import main

if __name__ == "__main__":
    sys.exit(main(["run", *sys.argv[1:]]))
