"""Metrics, their registration with RecBole, the collector, scoring of any predictions."""
