"""Who and what is studied: people and genes, their split into train, valid and test, and the expression to be predicted.

No window of a training gene overlaps a window of a held-out gene, and nothing that is fitted here has seen a held-out person.
"""
