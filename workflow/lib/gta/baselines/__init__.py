"""Baselines: the simple models that everything else is compared with.

`elastic-net` predicts the expression of each training gene from the dosages of the variants in its window (PrediXcan); `ridge`
is a linear model on the same features that GTA reads. Both read the cohort and write `predictions/`.
"""
