"""Trained models at work: files of sessions answered, adapters and weights handed on."""
