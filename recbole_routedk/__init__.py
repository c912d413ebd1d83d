"""RecBole plug-in for bundle generation with distilled, routed LoRA experts."""

__version__ = "0.1.0"
