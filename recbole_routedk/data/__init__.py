"""Session types, atomic files, the dataset and loader, prompts and parsing."""
