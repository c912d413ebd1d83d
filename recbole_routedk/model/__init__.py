"""Every generator that answers ``predict_bundles``."""
