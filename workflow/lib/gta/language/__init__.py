"""Language: the frozen language model, the prompts it reads about each gene, and their cached keys and values."""
