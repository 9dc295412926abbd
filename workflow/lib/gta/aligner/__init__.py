"""Aligner: GTA itself. Features of tiles become tokens that a frozen language model reads after the gene's prompt."""
