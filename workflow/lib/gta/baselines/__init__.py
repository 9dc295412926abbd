"""Baselines: the simple models that everything else is compared with.

`elastic-net` predicts the expression of each training gene from the dosages of the variants in its window (PrediXcan),
`top-eqtl` from the strongest of them alone; `ridge` is a linear model on the same features that GTA reads, `track` the feature
extractor's own prediction, `mean` the mean of training. `text` predicts mean expression from the gene's text alone, `stack` from
text and sequence together. All read the cohort and write `predictions/`.
"""
