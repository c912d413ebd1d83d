"""The formats of knowledge (arXiv 2504.17220): patterns, rules and thoughts, asked for and read back."""
