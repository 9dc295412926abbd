"""Prediction of people that were not in the study: new genotypes, no expression."""
