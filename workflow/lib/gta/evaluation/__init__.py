"""Evaluation: how well predictions agree with expression, in three regimes, with intervals and permutation nulls.

`across_genes`: are unseen genes put in the right order by their level? `seen_genes_unseen_people`: for a gene of the training,
are people who were not in training put in the right order? `unseen_genes_unseen_people`: the same for genes that were not in
training either. Every number stands beside bootstrap intervals over genes and over people, the number of both, and what permuted
data give.
"""
