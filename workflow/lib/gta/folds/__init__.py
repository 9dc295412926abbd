"""Cross-validation over the whole study: cohorts of the folds, predictions out of fold, homologous genes."""
