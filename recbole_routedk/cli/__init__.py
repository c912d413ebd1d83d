"""One module per command of ``python -m recbole_routedk``."""
