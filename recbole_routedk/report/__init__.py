"""One self-contained page, made from finished runs, that shows what they reached."""
