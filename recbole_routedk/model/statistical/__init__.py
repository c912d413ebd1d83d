"""Generators that need no language model."""
