"""The embedded teacher: what it learns from training sessions, without any language model."""
