"""Imported before torch, which reads OpenMP's settings when it is loaded: threads as the command line sets them."""

from recbole_routedk.threads import calm_openmp

calm_openmp()
