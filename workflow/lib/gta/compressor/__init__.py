"""Compressor: long prompts and sequences through a few memory tokens, after AOC (arXiv:2501.06730)."""
